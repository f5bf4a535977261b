"""An exported network is a plain one, to mmseg itself."""

import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from helpers.tiny import tiny_batch, tiny_config
from helpers.training import train
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import load_checkpoint
from mmseg.datasets import BaseSegDataset
from tool_files import tool_in_process, words

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.pipelines.export_segmentor import export_segmentor, plain_config
from mmseg_wsss.pipelines.plain_network import averaged_state, semi_model
from mmseg_wsss.registry import DATASETS, MODELS

ROOT = Path(__file__).resolve().parents[3]
WITHOUT_OURS = """
import sys
from mmseg.apis import inference_model, init_model
model = init_model(sys.argv[1], sys.argv[2], device='cpu')
result = inference_model(model, sys.argv[3])
assert result.pred_sem_seg.data.shape == (1, 40, 48)
assert model.dataset_meta['classes'][1] == 'red'
assert not [name for name in sys.modules if name.startswith('mmseg_wsss')]
"""


@pytest.fixture(scope='module')
def trained(tiny_voc, tmp_path_factory) -> tuple[Config, Path]:
    """A config with a loss of ours, and its checkpoint of two iterations."""
    folder = tmp_path_factory.mktemp('trained')
    cfg = tiny_config('MKD', tiny_voc, folder, 2)
    loss = {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 0.5}
    cfg.model.segmentor.decode_head.loss_decode = loss
    data = cfg.test_dataloader.dataset.dataset
    data.pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.test_dataloader.dataset = cfg.val_dataloader.dataset = data
    train(deepcopy(cfg))
    return cfg, folder / 'iter_2.pth'


def plain_of(cfg: Config) -> Config:
    return plain_config(cfg, semi_model(cfg.model, ['student1']))


@safe_checkpoints()
def trained_model(cfg: Config, checkpoint: Path) -> torch.nn.Module:
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(checkpoint), strict=True)
    return model.eval()


@pytest.mark.parametrize(
    'names', [['student1'], ['teacher2'], ['student1', 'teacher1']]
)
def test_exported_network_predicts_alike(trained, tmp_path, names):
    cfg, checkpoint = trained
    out, path = export_segmentor(cfg, checkpoint, names, tmp_path / 'net.pth')
    plain = MODELS.build(Config.fromfile(path).model).eval()
    assert type(plain).__name__ == 'EncoderDecoder'
    load_checkpoint(plain, str(out), strict=True)
    model = trained_model(cfg, checkpoint)
    expected = model.networks[names[0]]
    if len(names) > 1:
        other = model.networks[names[1]]
        with torch.no_grad():
            for mine, theirs in zip(expected.parameters(), other.parameters()):
                mine.lerp_(theirs, 0.5)
            for mine, theirs in zip(expected.buffers(), other.buffers()):
                if mine.is_floating_point():
                    mine.lerp_(theirs, 0.5)
    inputs, samples = tiny_batch(2)
    with torch.no_grad():
        results = [net.predict(inputs, deepcopy(samples)) for net in (plain, expected)]
    for first, second in zip(*results):
        torch.testing.assert_close(first.seg_logits.data, second.seg_logits.data)


def test_mmseg_alone_takes_what_the_tool_writes(trained, tiny_voc, tmp_path, capsys):
    cfg, checkpoint = trained
    source, out = tmp_path / 'semi.py', tmp_path / 'plain.pth'
    cfg.dump(source)
    tool = words(ROOT / 'tools/export_segmentor.py', source, checkpoint)
    options = words('--network', 'student2', '--out', out)
    tool_in_process([*tool, *options], None, None)
    config = out.with_suffix('.py')
    assert capsys.readouterr().out.split()[-2:] == [str(out), str(config)]
    cfg = deepcopy(cfg)
    cfg.model.semi_test_cfg = {'prediction_filter': {'thr': 0.1}}
    cfg.dump(source)
    tool_in_process([*tool, *options], None, None)
    assert 'without prediction_filter, which needs' in capsys.readouterr().out
    image = tiny_voc / 'JPEGImages/1.png'
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_OURS, config, out, image],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_config_is_that_of_the_network_and_of_its_test(trained):
    cfg, _ = trained
    plain = plain_of(cfg)
    kinds = [step.type for step in plain.test_pipeline]
    assert kinds == ['LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs']
    assert plain.test_dataloader.dataset.pipeline == plain.test_pipeline
    assert plain.model.data_preprocessor.type == 'SegDataPreProcessor'
    loss = {'type': 'CrossEntropyLoss', 'loss_weight': 0.5}
    assert plain.model.decode_head.loss_decode == loss
    assert 'custom_hooks' not in plain
    outer = {
        'type': 'MultiBranchDataPreprocessor',
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'mean': [1, 2, 3]},
    }
    cfg = Config(
        {'model': {'type': 'MKD', 'segmentor': {}, 'data_preprocessor': outer}}
    )
    assert plain_of(cfg).model.data_preprocessor.mean == [1, 2, 3]


def test_average_by_hand():
    state = {
        'a.x': torch.tensor([1.0, 2.0]),
        'b.x': torch.tensor([3.0, 6.0]),
        'a.n': torch.tensor(4),
        'b.n': torch.tensor(9),
    }
    mean = averaged_state(state, ['a', 'b'])
    assert mean['x'].tolist() == [2.0, 4.0]
    assert mean['n'] == 4
    assert averaged_state(state, ['b'])['x'].tolist() == [3.0, 6.0]


def test_errors(trained, tmp_path):
    cfg, checkpoint = trained
    with pytest.raises(KeyError, match=r"no network 'student3'; it has .*'student1'"):
        export_segmentor(cfg, checkpoint, ['student3'], tmp_path / 'net.pth')
    with pytest.raises(ValueError, match=r'such as NAME\.pth'):
        export_segmentor(cfg, checkpoint, ['student1'], tmp_path / 'net.py')
    with pytest.raises(ValueError, match='MKD has several networks; name those'):
        export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth')
    with pytest.raises(ValueError, match='MKD takes --network'):
        export_segmentor(cfg, checkpoint, [], tmp_path / 'net.pth', 'student')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('backbone', 'given', 'expected'),
    [
        ('ResNetV1c', ['mmseg_wsss'], None),
        ('ResNetV1c', ['mmseg_wsss', 'my_net'], ['my_net']),
        ('WideResNet38', ['my_net'], ['my_net', 'mmseg_wsss']),
    ],
)
def test_imports_that_the_network_needs_stay(trained, backbone, given, expected):
    cfg = deepcopy(trained[0])
    cfg.custom_imports = {'imports': given, 'allow_failed_imports': False}
    cfg.model.segmentor.backbone.type = backbone
    found = plain_of(cfg).get('custom_imports')
    assert (found and found['imports']) == expected


@pytest.mark.parametrize('name', ['mkd_r50*coco-513', 'mkd_r18*toy-voc-128'])
def test_data_sets_of_this_package_are_written_out(name):
    (path,) = (ROOT / 'configs/mkd').glob(f'{name}.py')
    cfg = Config.fromfile(path)
    with DefaultScope.overwrite_default_scope('mmseg'):
        ours = cfg.test_dataloader.dataset
        ours.indices = 3
        expected = DATASETS.build({**ours, 'pipeline': [], 'lazy_init': True})
        plain = plain_of(cfg).test_dataloader.dataset
        assert (plain.type, plain.indices) == ('BaseSegDataset', 3)
        types = [step.type for step in plain.pipeline]
        assert types[0] == 'LoadImageFromFile' and types[-1] == 'PackSegInputs'
        found = BaseSegDataset(
            **{k: v for k, v in plain.items() if k not in ('type', 'pipeline')},
            pipeline=[],
            lazy_init=True,
        )
    for key in ('ann_file', 'data_prefix', 'img_suffix', 'seg_map_suffix'):
        assert getattr(found, key) == getattr(expected, key)
    for key in ('classes', 'palette'):
        assert list(found.metainfo[key]) == list(expected.metainfo[key])
