"""Configs of ours under mmseg's own train tool, and under our launcher."""

import os
import subprocess
import sys
from pathlib import Path

import mmseg
import pytest
import torch
from mmengine.config import Config

from mmseg_wsss.datasets.toy.toy_voc import generate

ROOT = Path(__file__).resolve().parents[3]
STOCK = Path(mmseg.__file__).parent / '.mim/tools/train.py'
(CONFIG,) = ROOT.glob('configs/asdt/asdt_*_wsss-toy-voc-*.py')


@pytest.fixture(scope='module')
def options(tmp_path_factory) -> list[str]:
    """Command-line options that make two iterations of the toy config tiny."""
    data = generate(tmp_path_factory.mktemp('toy'), num_train=8, num_val=2, size=64)
    cfg = Config.fromfile(CONFIG)
    pipeline = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    hooks = [hook.type for hook in cfg.custom_hooks]
    wave = f'custom_hooks.{hooks.index("PWMDistillationHook")}'
    crop = f'train_dataloader.dataset.pipeline.{pipeline.index("RandomCropPad")}'
    chosen = {
        'train_dataloader.dataset.dataset.data_root': data,
        'train_dataloader.dataset.tags.path': data / 'tags_train.json',
        'val_dataloader.dataset.dataset.data_root': data,
        'val_dataloader.dataset.tags.path': data / 'tags_val.json',
        'train_dataloader.batch_size': 1,
        f'{crop}.crop_size': '(48,48)',
        f'{wave}.mode': 'always',
        f'{wave}.begin': 0,
        'load_from': None,
        'train_cfg.max_iters': 2,
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.interval': 1,
    }
    return ['--cfg-options', *(f'{key}={value}' for key, value in chosen.items())]


@pytest.mark.parametrize('tool', ['stock train.py', 'dist_train.sh'])
def test_two_iterations(tool, options, tmp_path):
    if tool == 'dist_train.sh':
        start = ['bash', ROOT / 'tools/dist_train.sh', CONFIG, '2']
    elif STOCK.is_file():
        start = [sys.executable, STOCK, CONFIG]
    else:
        pytest.skip(f'this mmseg has no {STOCK}')
    env = {**os.environ, 'PYTHON': sys.executable, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(
        [*start, '--work-dir', tmp_path, *options],
        env=env | {'CUDA_VISIBLE_DEVICES': ''},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    state = torch.load(tmp_path / 'iter_2.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
    assert any(name.startswith('teacher_head.') for name in state)
    (log,) = tmp_path.glob('*/*.log')
    text = log.read_text()
    distributed = tool == 'dist_train.sh'
    assert f'Distributed training: {distributed}' in text
    # Both phases ran, and validation at the end.
    assert 'pwm: 0.0000' in text
    assert 'pwm: 1.0000' in text
    assert 'mIoU' in text
