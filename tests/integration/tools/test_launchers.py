"""The train and test tools, and the scripts that start them on many processes."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

TOOLS = Path(__file__).resolve().parents[3] / 'tools'

CONFIG = """
default_scope = 'mmseg'
env_cfg = dict(dist_cfg=dict(backend='nccl'))
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(16, 16)),
    backbone=dict(type='ResNet', depth=18, base_channels=4, norm_cfg=norm_cfg),
    decode_head=dict(type='FCNHead', in_channels=32, channels=4, num_classes=3,
                     norm_cfg=norm_cfg),
    train_cfg=dict(), test_cfg=dict(mode='whole'))
load = dict(type='LoadImageFromFile')
truth = dict(type='LoadAnnotations')
resize = dict(type='Resize', scale=(16, 16))
pack = dict(type='PackSegInputs')
dataset = dict(
    type='BaseSegDataset', data_root='DATA_ROOT',
    metainfo=dict(classes=('a', 'b', 'c')),
    data_prefix=dict(img_path='img', seg_map_path='gt'), img_suffix='.png',
    seg_map_suffix='.png')
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler'),
    dataset=dict(**dataset, pipeline=[load, truth, resize, pack]))
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**dataset, pipeline=[load, resize, truth, pack]))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict(type='TestLoop')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    """Config of a tiny network on four random images."""
    root = tmp_path_factory.mktemp('launchers')
    rng = np.random.default_rng(0)
    for folder in ('img', 'gt'):
        (root / folder).mkdir()
    for index in range(4):
        image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        truth = rng.integers(0, 3, (16, 20), dtype=np.uint8)
        assert cv2.imwrite(str(root / 'img' / f'{index}.png'), image)
        assert cv2.imwrite(str(root / 'gt' / f'{index}.png'), truth)
    path = root / 'tiny.py'
    path.write_text(CONFIG.replace('DATA_ROOT', str(root)))
    return path


@pytest.fixture(scope='module')
def trained(config: Path) -> tuple[Path, str]:
    """Work folder of two iterations on two CPU processes, and what was printed."""
    work_dir = config.parent / 'two_processes'
    done = subprocess.run(
        ['bash', TOOLS / 'dist_train.sh', config, '2', '--work-dir', work_dir],
        env={**os.environ, 'PYTHON': sys.executable, 'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return work_dir, done.stdout


def run_tool(monkeypatch, name: str, *words: str | Path) -> None:
    """Run a tool in this process, as from the command line."""
    monkeypatch.setattr(sys, 'argv', [name, *map(str, words)])
    monkeypatch.setenv('LOCAL_RANK', '0')
    spec = importlib.util.spec_from_file_location('tool', TOOLS / f'{name}.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()


def test_dist_train_on_two_cpu_processes(trained):
    work_dir, log = trained
    assert 'Distributed training: True' in log
    assert 'GPU number: 2' in log
    assert 'SyncBN in the config became BN' in log
    weights = torch.load(work_dir / 'iter_2.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert not any(name.startswith('module.') for name in weights)


@pytest.mark.parametrize('runner', ['Runner', 'FlexibleRunner'])
def test_train_and_resume(monkeypatch, config, tmp_path, runner):
    words = [config, '--work-dir', tmp_path]
    options = ['--cfg-options', f'runner_type={runner}']
    run_tool(monkeypatch, 'train', *words, *options)
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_2.pth')
    first = (tmp_path / 'iter_2.pth').stat().st_mtime_ns
    run_tool(
        monkeypatch, 'train', *words, '--resume', *options, 'train_cfg.max_iters=4'
    )
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_4.pth')
    # It went on from the checkpoint: the first two iterations were not run again.
    assert (tmp_path / 'iter_2.pth').stat().st_mtime_ns == first


def test_test_tells_settings_apart(monkeypatch, config, trained, tmp_path):
    checkpoint = trained[0] / 'iter_2.pth'
    words = [config, checkpoint, '--work-dir', tmp_path]
    out = tmp_path / 'predictions'
    run_tool(monkeypatch, 'test', *words, '--out', out)
    assert sorted(path.name for path in out.iterdir()) == [f'{i}.png' for i in range(4)]
    options = ['--cfg-options', 'tta_model.crf.type=DenseCRF']
    run_tool(monkeypatch, 'test', *words, '--crf', *options)
    # MMEngine finds loggers by name and second, also those of the test before this one.
    options = ['--cfg-options', 'experiment_name=settings']
    settings = ['--crf', '--ms-flip', '--scales', '1', '2']
    run_tool(monkeypatch, 'test', *words, *settings, *options)
    (entry,) = json.loads((tmp_path / 'test_settings.json').read_text()).values()
    rows = entry['settings']
    assert list(rows) == [
        'single scale',
        'single scale + CRF',
        'multi-scale 1 2 + flip + CRF',
    ]
    assert all(0 <= row['mIoU'] <= 100 for row in rows.values())
    logged = ''.join(path.read_text() for path in tmp_path.glob('*/*.log'))
    assert 'setting: multi-scale 1 2 + flip + CRF' in logged
    assert 'multi-scale-1-2+flip+crf/mIoU' in logged


def test_images_without_masks(monkeypatch, config, trained, tmp_path, capsys):
    words = [config, trained[0] / 'iter_2.pth', '--work-dir', tmp_path, '--no-gt']
    gone = ['--cfg-options', 'test_dataloader.dataset.data_prefix.seg_map_path=gone']
    gone += ['experiment_name=without_masks']
    out = tmp_path / 'predictions'
    run_tool(monkeypatch, 'test', *words, '--out', out, *gone)
    assert len(list(out.iterdir())) == 4
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, 'test', *words)
    assert '--no-gt needs --out' in capsys.readouterr().err


def test_images_of_equal_names_are_refused(
    monkeypatch, config, trained, tmp_path, capsys
):
    for folder in ('a', 'b'):
        shutil.copytree(config.parent / 'img', tmp_path / 'data' / folder)
    words = [config, trained[0] / 'iter_2.pth', '--work-dir', tmp_path, '--no-gt']
    options = ['--cfg-options', f'test_dataloader.dataset.data_root={tmp_path}/data']
    options += ['test_dataloader.dataset.data_prefix.img_path=.']
    options += ['experiment_name=equal_names']
    with pytest.raises(SystemExit):
        run_tool(monkeypatch, 'test', *words, '--out', tmp_path / 'out', *options)
    assert (
        '2 images are called 0 and would be written to one' in capsys.readouterr().err
    )


def test_painting_needs_its_hook(monkeypatch, config, tmp_path, capsys):
    words = [config, 'none.pth', '--work-dir', tmp_path, '--show-dir', tmp_path]
    with pytest.raises(SystemExit, match='2'):
        run_tool(monkeypatch, 'test', *words)
    error = capsys.readouterr().err
    assert error.startswith('error: ')
    assert 'SegVisualizationHook' in error


LIST = '{}_dataloader.dataset.ann_file=none.txt'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['train', '--cfg-options', 'resume=True'], 'give --resume in its place'),
        (['train', '--amp'], "needs a GPU, found the device 'cpu'"),
        (['train', '--cfg-options', LIST.format('train')], 'none.txt does not exist'),
        (['test', '--cfg-options', LIST.format('test')], 'none.txt does not exist'),
        (['test', '--scales', '1', '2'], '--scales needs --ms-flip'),
        (['test', '--wait-time', '0'], '--wait-time needs --show'),
    ],
)
def test_what_cannot_work_is_one_line(
    monkeypatch, config, tmp_path, capsys, words, message
):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr('mmseg_wsss.engine.launch.get_device', lambda: 'cpu')
    tool, *options = words
    files = [config] if tool == 'train' else [config, config]  # before it is loaded
    with pytest.raises(SystemExit, match='2'):
        run_tool(monkeypatch, tool, *files, '--work-dir', tmp_path, *options)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ')
    assert message in line


class TestScripts:
    """What the scripts start, with programs that only say how they were called."""

    @pytest.fixture
    def call(self, tmp_path):
        def write(name: str, text: str) -> None:
            path = tmp_path / name
            path.write_text(f'#!/usr/bin/env bash\n{text}\n')
            path.chmod(0o755)

        write('python', 'echo python "$@"')
        write('scontrol', 'echo first; echo second')
        # Runs the command of each of two nodes, behind the options.
        write(
            'srun',
            'echo srun "$@" | head -n 1\n'
            'while [[ $1 == -* ]]; do shift; done\n'
            'for node in 0 1; do SLURM_NODEID=$node SLURM_JOB_ID=10007'
            ' SLURM_JOB_NODELIST="n[1-2]" "$@"; done',
        )

        def run(script: str, *words: str, **env: str) -> list[str]:
            path = f'{tmp_path}:{os.environ["PATH"]}'
            cleared = ('PYTHON', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'PORT')
            base = {k: v for k, v in os.environ.items() if k not in cleared}
            done = subprocess.run(
                ['bash', TOOLS / script, *words],
                env={**base, 'PATH': path, **env},
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout.splitlines() or [done.stderr]

        return run

    def test_one_machine_needs_no_port(self, call):
        (line,) = call('dist_train.sh', 'c.py', '4', '--amp')
        assert line == (
            'python -m torch.distributed.run --standalone --local_addr 127.0.0.1 '
            '--nproc_per_node 4 '
            f'{TOOLS}/train.py c.py --amp --launcher pytorch'
        )

    def test_several_machines(self, call):
        (line,) = call(
            'dist_test.sh',
            'c.py',
            'a.pth',
            '8',
            '--cfg-options',
            'a=two words',
            NNODES='2',
            NODE_RANK='1',
            MASTER_ADDR='head',
            PORT='1234',
        )
        assert line == (
            'python -m torch.distributed.run --nnodes 2 --node_rank 1 --master_addr '
            'head --master_port 1234 --nproc_per_node 8 '
            f'{TOOLS}/test.py c.py a.pth --cfg-options a=two words --launcher pytorch'
        )

    def test_slurm_starts_one_task_a_node(self, call):
        srun, *nodes = call(
            'slurm_train.sh',
            'gpu',
            'job',
            'c.py',
            'work',
            '--resume',
            GPUS='16',
            CPUS_PER_TASK='3',
            SRUN_ARGS='--time=1 --qos=high',
        )
        assert srun.startswith(
            'srun --partition=gpu --job-name=job --gres=gpu:8 --nodes=2 --ntasks=2 '
            '--ntasks-per-node=1 --cpus-per-task=24 --kill-on-bad-exit=1 --time=1 '
            '--qos=high bash -c'
        )
        assert nodes[-2:] == [
            f'python -m torch.distributed.run --nnodes 2 --node_rank {rank} '
            '--master_addr first --master_port 20007 --nproc_per_node 8 '
            f'{TOOLS}/train.py c.py --work-dir work --resume --launcher pytorch'
            for rank in (0, 1)
        ]

    def test_slurm_on_a_part_of_a_node(self, call):
        srun, *nodes = call(
            'slurm_test.sh', 'gpu', 'job', 'c.py', 'a.pth', '--crf', GPUS='2'
        )
        assert '--gres=gpu:2 --nodes=1 --ntasks=1 ' in srun
        assert '--cpus-per-task=10 ' in srun
        assert nodes[-1].endswith(
            f'{TOOLS}/test.py c.py a.pth --crf --launcher pytorch'
        )

    @pytest.mark.parametrize(
        'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
    )
    def test_too_few_words_show_the_usage(self, call, script):
        (line,) = call(script, 'c.py')
        assert line.startswith('usage: ')

    def test_slurm_shares_gpus_evenly(self, call):
        (line,) = call('slurm_train.sh', 'gpu', 'job', 'c.py', GPUS='12')
        assert line == 'GPUS=12 is no multiple of GPUS_PER_NODE=8\n'
