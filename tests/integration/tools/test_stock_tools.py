"""mmseg's own entry points with a config of every method."""

import json
import runpy
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from helpers.family import ONEDL, needs_onedl
from helpers.methods import METHODS, TAG_NAMES
from helpers.tiny import COLORS, SIZE, tiny_config, write_tiny_voc
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS

ROOT = Path(__file__).resolve().parents[3]
STOCK = Path(mmseg.__file__).parent / '.mim/tools'
# The smallest config of each method that loads no file but its own.
REAL = sorted(ROOT.glob('configs/*/*_wsss-voc-mini-225.py')) + sorted(
    ROOT.glob('configs/*/*_semi-1-4-voc-mini-225.py')
)
REAL = list({Config.fromfile(path).model.type: path for path in REAL}.values())
# Pipelines and comparisons have several configs in place of a model.
EVERY = [
    path
    for path in sorted(ROOT.glob('configs/**/*.py'))
    if not {'_base_', 'comparisons', 'pipelines'} & {*path.parts}
]
META = {
    'classes': ('background', *TAG_NAMES),
    'palette': COLORS.tolist(),
}


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return write_tiny_voc(tmp_path_factory.mktemp('voc'))


@pytest.fixture(scope='module', params=METHODS)
def files(request, data_root, tmp_path_factory):
    """Config and checkpoint of a method, which all entry points share."""
    name, folder = request.param, tmp_path_factory.mktemp('method')
    cfg = tiny_config(name, data_root, folder / 'run')
    steps = cfg.test_dataloader.dataset.pipeline
    steps[:2] = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]
    cfg.test_pipeline = steps
    cfg.custom_imports = {'imports': ['mmseg_wsss']}
    cfg.visualizer = {
        'type': 'SegLocalVisualizer',
        'vis_backends': [{'type': 'LocalVisBackend'}],
        'name': 'visualizer',
    }
    cfg.default_hooks.visualization = {'type': 'SegVisualizationHook'}
    if 'decode_head' not in cfg.model:
        cfg.model.decode_head = {'type': 'FCNHead'}
    config, checkpoint = folder / 'config.json', folder / 'weights.pth'
    cfg.dump(config)
    with DefaultScope.overwrite_default_scope('mmseg'):
        state = MODELS.build(cfg.model).state_dict()
    torch.save({'state_dict': state, 'meta': {'dataset_meta': META}}, checkpoint)
    return config, checkpoint


def run_stock(monkeypatch, tool, *args):
    path = STOCK / tool
    if not path.is_file():
        pytest.skip(f'this mmseg has no {path}')
    monkeypatch.setenv('LOCAL_RANK', '0')  # test.py would set it and leave it behind
    monkeypatch.setattr(sys, 'argv', [str(path), *map(str, args)])
    runpy.run_path(str(path), run_name='__main__')


def test_model_api(files, data_root, tmp_path):
    config, checkpoint = files
    path = str(data_root / 'JPEGImages/0.png')
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert model.dataset_meta['classes'] == META['classes']
    (labels,) = inference_model(model, path).pred_sem_seg.data
    assert labels.shape == SIZE
    assert labels.max() <= len(TAG_NAMES)
    two = inference_model(model, [np.zeros((20, 30, 3), np.uint8)] * 2)
    assert [sample.pred_sem_seg.data.shape[1:] for sample in two] == [(20, 30)] * 2
    bare = torch.load(checkpoint, weights_only=False) | {'meta': {}}
    torch.save(bare, tmp_path / 'bare.pth')
    init_model(str(config), str(tmp_path / 'bare.pth'), device='cpu')


def test_inferencer(files, data_root, tmp_path):
    config, checkpoint = files
    quiet = {'show_progress': False} if ONEDL else {}
    inferencer = MMSegInferencer(
        str(config), weights=str(checkpoint), device='cpu', **quiet
    )
    inferencer([str(data_root / 'JPEGImages/0.png')], out_dir=str(tmp_path / 'out'))
    assert len([*tmp_path.glob('out/*/*')]) == 2
    result = inferencer(np.zeros((20, 30, 3), np.uint8))
    assert result['predictions'].shape == (20, 30)


def test_test_tool(files, tmp_path, monkeypatch):
    run_stock(monkeypatch, 'test.py', *files, '--work-dir', tmp_path / 'test')
    (result,) = tmp_path.glob('test/*/*.json')
    assert 0 <= json.loads(result.read_text())['mIoU'] <= 100


@needs_onedl('get_flops.py fails with MMEngine 0.10.7: it sets two kinds of input')
def test_flops(files, monkeypatch, capsys):
    tool = 'analysis_tools/get_flops.py'
    run_stock(monkeypatch, tool, files[0], '--shape', 32)
    assert 'Flops: ' in capsys.readouterr().out


@needs_onedl('mmseg 1.2.2 draws labels on arrays in an order that OpenCV does not take')
def test_browse_dataset(files, tmp_path, monkeypatch):
    args = ('--not-show', '--output-dir', tmp_path / 'browse')
    run_stock(monkeypatch, 'analysis_tools/browse_dataset.py', files[0], *args)
    assert len([*tmp_path.glob('browse/*.png')]) == 8


@pytest.mark.parametrize('path', REAL, ids=lambda path: path.stem)
def test_real_config(path):
    model = init_model(str(path), device='cpu')
    sample = inference_model(model, np.zeros((40, 60, 3), np.uint8))
    assert sample.pred_sem_seg.data.shape == (1, 40, 60)


@pytest.mark.parametrize('path', EVERY, ids=lambda path: path.stem)
def test_every_config_has_what_mmseg_reads_by_name(path):
    cfg = Config.fromfile(path, import_custom_modules=False)
    steps = cfg.test_dataloader.dataset.pipeline
    for pipeline in (cfg.test_pipeline, steps):
        assert pipeline[0]['type'] == 'LoadImageFromFile'
        kinds = [step['type'] for step in pipeline]
        assert 'LoadAnnotationsStrict' not in kinds
    assert isinstance(cfg.model.decode_head.type, str)
    assert cfg.visualizer.type == 'SegLocalVisualizer'
