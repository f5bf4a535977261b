"""The pipeline on eight small images, stopped in each of its stages."""

import json
import re
import sys
from copy import deepcopy
from pathlib import Path
from unittest import mock

import pytest
from helpers.methods import FCN_HEAD
from helpers.tiny import tiny_config, tiny_model, write_tiny_voc
from mmengine.config import Config
from rich.console import Console
from tool_files import run_pipeline, tool_in_process

from mmseg_wsss.pipelines.report_pages import HOW
from mmseg_wsss.pipelines.stages import run_stages
from mmseg_wsss.pipelines.wsss_stages import Tools, build_stages, shared_batch

MODULE = 'mmseg_wsss.pipelines.wsss_stages'
TOOLS = Path(__file__).resolve().parents[3] / 'tools'
EPOCHS = dict(type='EpochBasedTrainLoop', max_epochs=2, _delete_=True)
EMPTY = dict(_delete_=True)
STAGES = [
    'seeds_network',
    'seeds',
    'affinity_labels',
    'affinity_network',
    'refined_seeds',
    'pseudo_masks',
    'network',
    'predictions_plain',  # in the order of the config
    'predictions_crf',
]


class StoppedError(Exception):
    pass


def weak_config(method, voc, folder, **settings):
    cfg = tiny_config(method, voc, folder, 2, **settings)
    train = deepcopy(cfg.train_dataloader.to_dict())
    evaluate = [
        dict(type='LoadImageStrict'),
        dict(type='LoadAnnotationsStrict', num_classes=7),
    ]
    train['dataset'].update(
        pipeline=[*evaluate, dict(type='PackWeakInputs')], test_mode=True
    )
    train.update(batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False))
    cfg.export_dataloader = train
    return cfg


@pytest.fixture(scope='module')
def pipeline(tmp_path_factory) -> Path:
    """Config of a pipeline, with the configs of its stages beside it."""
    folder = tmp_path_factory.mktemp('pipeline')
    voc = write_tiny_voc(folder / 'voc')
    weak_config('RCMMAM', voc, folder).dump(folder / 'seeds.py')

    affinity = weak_config('AffinityNet', voc, folder)
    affinity.model.loss_cls = dict(type='MultiLabelSoftMarginLoss', loss_weight=0.0)
    load = dict(type='LoadPseudoLabel', folder='', num_classes=7)
    affinity.train_dataloader.dataset.pipeline.insert(1, load)
    affinity.export_dataloader.dataset.pipeline[1] = load | {'soft': True}
    affinity.dump(folder / 'affinity.py')

    network = weak_config('CAM', voc, folder)
    network.model = tiny_model('CAM') | {'type': 'EncoderDecoder'}
    network.model.pop('cam_head')
    network.model.update(decode_head=FCN_HEAD, train_cfg={})
    steps = list(network.train_dataloader.dataset.pipeline)
    steps.insert(1, dict(type='LoadAnnotations'))
    network.train_dataloader.dataset = network.train_dataloader.dataset.dataset
    network.train_dataloader.dataset.pipeline = steps
    network.train_dataloader.sampler = dict(type='InfiniteSampler')
    network.dump(folder / 'network.py')
    parts = dict(
        seeds=dict(config=str(folder / 'seeds.py')),
        labels=dict(alphas=(1.0, 8.0), crf=dict(num_iters=1)),
        affinity=dict(config=str(folder / 'affinity.py')),
        network=dict(config=str(folder / 'network.py')),
        evaluation=dict(plain={}, crf=dict(crf=True)),
    )
    lines = [f'{key} = {value!r}\n' for key, value in parts.items()]
    (folder / 'pipeline.py').write_text(''.join(lines))  # dumping sorts the keys
    return folder / 'pipeline.py'


def files(work_dir: Path) -> dict[str, bytes]:
    """All files of the result; of reports the part without date and seconds."""
    wanted = [*work_dir.glob('report*.*'), *work_dir.rglob('masks/*.png')]
    wanted.append(work_dir / 'scores.json')
    contents = {str(path.relative_to(work_dir)): path.read_bytes() for path in wanted}
    return {name: data.split(HOW.encode())[0] for name, data in contents.items()}


@pytest.fixture(scope='module')
def whole(pipeline, tmp_path_factory) -> dict[str, bytes]:
    work_dir = tmp_path_factory.mktemp('whole')
    run_pipeline(pipeline, work_dir)
    return files(work_dir)


def test_a_report_of_all_stages(whole):
    panels = {'report_training.png', 'report_test.png'}
    assert {'report.md', 'report.html', 'scores.json'} | panels <= set(whole)
    text = whole['report.md'].decode()
    for title in (
        'seeds (threshold',
        'refined seeds, training images',
        'pseudo-masks, training images',
        'network (crf), test images',
    ):
        assert f'| {title}' in text
    assert text.index('network (plain), test') < text.index('network (crf), test')
    assert '| pink |' in text
    for folder in ('affinity_labels', 'refined_seeds', 'pseudo_masks'):
        assert len([name for name in whole if name.startswith(folder)]) == 8
    assert len([name for name in whole if name.startswith('predictions')]) == 6
    assert b'base64' in whole['report.html']
    row = json.loads(whole['scores.json'])['pseudo-masks, training images']
    assert f'{row["mIoU"]:.2f}' in text


@pytest.mark.parametrize('stage', STAGES)
def test_stopped_in_a_stage_and_started_again(pipeline, whole, tmp_path, stage):
    cfg = Config.fromfile(pipeline)

    def stages(tools):
        built = build_stages(cfg, tmp_path, tools)
        assert [one.name for one in built] == STAGES
        return built

    def die(*_, **__):
        raise StoppedError

    with open(tmp_path / 'lock', 'w') as lock:
        tools = Tools(TOOLS, lock)
        with mock.patch(f'{MODULE}.call', tool_in_process):
            first = stages(tools)[: STAGES.index(stage)]
            run_stages(first, tmp_path, Console(quiet=True))
            rest = stages(tools)[: STAGES.index(stage) + 1]
            output = rest[-1].output
            with (
                mock.patch(f'{MODULE}.call', die),
                mock.patch(f'{MODULE}.write_affinity_labels', die),
                mock.patch(f'{MODULE}.predict_images', die),
                pytest.raises(StoppedError),
            ):
                run_stages(rest, tmp_path, Console(quiet=True))
    if output.suffix == '.pth':
        output.write_bytes(b'half')
    else:
        output.mkdir(parents=True, exist_ok=True)
    run_pipeline(pipeline, tmp_path)
    assert files(tmp_path) == whole


def test_gpus_share_the_images_of_a_step(tmp_path):
    def share(name: str, gpus: int) -> int:
        path = tmp_path / f'{name}.py'
        path.write_text('train_dataloader = dict(batch_size=2)')
        return shared_batch(Config.fromfile(path), gpus)

    assert [share('net_8xb2-20k_data', gpus) for gpus in (1, 4, 8, 16)] == [16, 4, 2, 1]
    assert share('net_1xb2-20k_data', 1) == 2
    assert share('net_4xb1+1-20k_data', 2) == 4
    assert share('my_config', 4) == 2
    with pytest.raises(ValueError, match=r'net_1xb2.*: 2 images.* split over 4 GPUs'):
        share('net_1xb2-20k_data', 4)


def test_seed_and_options_of_a_part(pipeline, tmp_path):
    cfg = Config.fromfile(pipeline)
    cfg.seed = 7  # the configs have 3
    cfg.affinity.cfg_options = {'train_cfg.max_iters': 1}
    stages = build_stages(cfg, tmp_path, Tools(TOOLS, None))
    trained = {stage.name: stage for stage in stages if 'network' in stage.name}
    assert len(trained) == 3
    for name, stage in trained.items():
        config = stage.settings['config']
        assert config['randomness']['seed'] == 7
        steps = 1 if name == 'affinity_network' else 2
        assert config['train_cfg']['max_iters'] == steps
        assert stage.output.name == f'iter_{steps}.pth'


@pytest.mark.parametrize(('name', 'same'), [('net_2xb1-2_a', True), ('net', False)])
def test_a_training_on_other_gpus(pipeline, tmp_path, name, same):
    """It is another one only if a step has another number of images."""
    cfg = Config.fromfile(pipeline)
    path = tmp_path / f'{name}.py'
    path.write_bytes(Path(cfg.network.config).read_bytes())
    cfg.network.config = str(path)
    settings = [
        build_stages(cfg, tmp_path, Tools(TOOLS, None, gpus))[6].settings
        for gpus in (1, 2)
    ]
    assert (settings[0] == settings[1]) is same


@pytest.mark.parametrize(
    ('options', 'gpus', 'message'),
    [
        ({}, 0, '--gpus must be at least 1, got 0'),
        ({}, -2, '--gpus must be at least 1, got -2'),
        ({'network': EMPTY}, 1, "network needs the key 'config', got []"),
        (
            {'network.cfg_options': {'train_cfg': EPOCHS}},
            1,
            'a stage needs train_cfg.max_iters, found',
        ),
        *(
            (
                {part: {'cfg_options': {'train_dataloader': None}}},
                1,
                '.py: expected train_dataloader.dataset, found none',
            )
            for part in ('seeds', 'affinity', 'network')
        ),
    ],
)
def test_what_no_stage_can_be_built_of(pipeline, tmp_path, options, gpus, message):
    cfg = Config.fromfile(pipeline)
    for key, value in options.items():
        cfg.merge_from_dict({key: value})
    with pytest.raises((KeyError, ValueError), match=re.escape(message)):
        build_stages(cfg, tmp_path, Tools(TOOLS, None, gpus))


def test_a_config_with_other_keys(tmp_path):
    cfg = Config(dict(seeds={}, masks={}))
    with pytest.raises(KeyError, match=r"got \['masks', 'seeds'\]"):
        build_stages(cfg, tmp_path, Tools(TOOLS, None))


def test_a_given_checkpoint_takes_the_place_of_a_training(pipeline, tmp_path):
    cfg = Config.fromfile(pipeline)
    start = tmp_path / 'start.pth'
    cfg.seeds.checkpoint = str(start)
    tools = mock.Mock(spec=Tools, gpus=1)
    stages = {one.name: one for one in build_stages(cfg, tmp_path, tools)}
    assert stages['seeds_network'].output == start
    with pytest.raises(FileNotFoundError, match=r'start\.pth does not exist'):
        stages['seeds_network'].run()
    start.touch()
    stages['seeds_network'].run()
    tools.assert_not_called()
    assert stages['affinity_network'].settings['config']['load_from'] == str(start)
    (tmp_path / 'seeds').mkdir()
    stages['seeds'].run()
    (call,) = tools.call_args_list
    assert call.args[3] == start


def test_the_crf_comes_after_the_random_walk(pipeline, tmp_path):
    stages = build_stages(Config.fromfile(pipeline), tmp_path, Tools(TOOLS, None))
    iters = {
        stage.name: stage.settings['config']['model'].get('crf_iters', 'default')
        for stage in stages
        if stage.name in ('refined_seeds', 'pseudo_masks')
    }
    assert iters == {'refined_seeds': 0, 'pseudo_masks': 'default'}


def test_evaluation_settings_reach_the_predictions(pipeline, tmp_path):
    cfg = Config.fromfile(pipeline)
    cfg.evaluation = {'a': {}, 'b': {'crf': True}, 'c': {'ms_flip': True}}
    stages = build_stages(cfg, tmp_path, Tools(TOOLS, None))[-3:]
    with mock.patch(f'{MODULE}.predict_images') as predict:
        for stage in stages:
            stage.run()
    found = [call.args[2:] for call in predict.call_args_list]
    assert found == [
        (tmp_path / f'predictions_{name}/masks', cfg.evaluation[name]) for name in 'abc'
    ]
    cfg.evaluation = {'a': {'crff': True}}
    with pytest.raises(KeyError, match=r"evaluation\.a may have .*got \['crff'\]"):
        build_stages(cfg, tmp_path, Tools(TOOLS, None))


@pytest.mark.parametrize('gpus', [1, 2])
def test_tools_run_on_as_many_gpus_as_wanted(gpus, tmp_path):
    with mock.patch(f'{MODULE}.call') as call:
        Tools(TOOLS, None, gpus)('train.py', tmp_path / 'log.txt', 'config.py')
    (command, log, _), _ = call.call_args
    assert log == tmp_path / 'log.txt'
    launcher = ['bash', f'{TOOLS}/misc/torchrun.sh', '2', 'train.py']
    alone = [sys.executable, f'{TOOLS}/train.py']
    assert command == [*(alone if gpus == 1 else launcher), 'config.py']
