"""mmseg projects elsewhere on disk that use the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mmseg
import numpy as np
import pytest
import torch
from PIL import Image

from mmseg_wsss.datasets.toy.toy_voc import generate

ROOT = Path(__file__).resolve().parents[2]
TRAIN = Path(mmseg.__file__).parent / '.mim/tools/train.py'
CONFIG = 'asdt_smallnet-segformer_1xb4-20k_wsss-voc12aug-321.py'

# What a reader does with the project's config: his own data in place of VOC 2012.
TINY = """
_base_ = './CONFIG'
heads = dict(num_classes=7)
model = dict(
    cam_head=dict(num_classes=6),
    teacher_head=heads,
    decode_head=heads,
    train_cfg=dict(cam=dict(scales=(1.0, 0.5))),
)
crop = dict(type='RandomCropPad', crop_size=(64, 64))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        dataset=dict(_delete_=True, type='ToyVOCDataset', data_root='DATA'),
        tags=dict(path='DATA/tags_train.json'),
        pipeline=[dict(type='LoadImageFromFile'), crop, dict(type='PackWeakInputs')],
    ),
)
val_dataloader = val_evaluator = val_cfg = None
test_dataloader = test_evaluator = test_cfg = None
train_cfg = dict(max_iters=2)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
custom_hooks = [
    *_base_.weak_hooks,
    dict(type='PWMDistillationHook', mode='always', begin=0),
]
"""


@pytest.mark.skipif(not TRAIN.is_file(), reason=f'this mmseg has no {TRAIN}')
def test_own_network_trains_with_the_tools_of_mmseg(tmp_path):
    project = tmp_path / 'own_network'
    shutil.copytree(ROOT / 'projects/own_network', project)
    data = generate(tmp_path / 'toy', num_train=4, num_val=1, size=64)
    text = TINY.replace('CONFIG', CONFIG).replace('DATA', str(data))
    config = project / 'configs/tiny.py'
    config.write_text(text)
    done = subprocess.run(
        [sys.executable, TRAIN, config, '--work-dir', tmp_path / 'work'],
        cwd=project,
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{project}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    state = torch.load(tmp_path / 'work/iter_2.pth', weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
    parts = {name.split('.')[0] for name in state}
    assert parts >= {'backbone', 'cam_head', 'teacher_head', 'decode_head'}
    # Nothing of the base's networks is left.
    assert state['backbone.stem.conv.weight'].shape == (32, 3, 3, 3)
    assert 'decode_head.fusion_conv.conv.weight' in state
    # The second iteration was teacher B's: both phases ran.
    logs = ''.join(path.read_text() for path in (tmp_path / 'work').glob('*/*.log'))
    assert 'pwm: 0.0000' in logs
    assert 'pwm: 1.0000' in logs


SCENES = """
_base_ = './CONFIG'
model = dict(SMALLER)
train_dataloader = dict(num_workers=0)
val_dataloader = dict(num_workers=0)
train_cfg = dict(max_iters=2, val_interval=2)
param_scheduler = [dict(type='PolyLR', power=0.9, end=2, by_epoch=False)]
default_hooks = dict(checkpoint=dict(interval=2))
custom_hooks = HOOKS
"""


@pytest.fixture
def scenes(tmp_path):
    """A copy of the project, and images with labels 0 to 8 where it looks for them."""
    project = tmp_path / 'own_dataset'
    shutil.copytree(ROOT / 'projects/own_dataset', project)
    data = project / 'data/scenes'
    for folder in ('images', 'masks'):
        (data / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(8):
        labels = rng.integers(0, 9, (8, 8)).repeat(20, 0).repeat(20, 1)
        img = (labels[..., None] * 28 + rng.integers(0, 9, (160, 160, 3))) % 256
        Image.fromarray(img.astype(np.uint8)).save(data / f'images/{i}.png')
        Image.fromarray(labels.astype(np.uint8)).save(data / f'masks/{i}.png')
    lists = {'train': range(6), 'labeled': range(2), 'unlabeled': range(2, 6)}
    for name, rows in {**lists, 'val': range(6, 8)}.items():
        (data / f'{name}.txt').write_text(''.join(f'{row}\n' for row in rows))
    return project


@pytest.mark.skipif(not TRAIN.is_file(), reason=f'this mmseg has no {TRAIN}')
@pytest.mark.parametrize(
    ('config', 'smaller', 'hooks'),
    [
        (
            'mkd_fcn_r18_scenes.py',
            'segmentor=dict(backbone=dict(base_channels=8, stem_channels=8), '
            'decode_head=dict(in_channels=64))',
            '_base_.custom_hooks',
        ),
        (
            'asdt_fcn_r18_scenes.py',
            'backbone=dict(base_channels=8, stem_channels=8), '
            'cam_head=dict(in_channels=64), teacher_head=dict(in_channels=64), '
            'decode_head=dict(in_channels=64)',
            '[_base_.custom_hooks[0], dict(type="WeakWarmupHook", iters=0), '
            'dict(type="PWMDistillationHook", mode="always", begin=0)]',
        ),
    ],
)
def test_own_dataset_trains_with_the_tools_of_mmseg(scenes, config, smaller, hooks):
    text = SCENES.replace('CONFIG', config).replace('SMALLER', smaller)
    (scenes / 'configs/tiny.py').write_text(text.replace('HOOKS', hooks))
    done = subprocess.run(
        [sys.executable, TRAIN, 'configs/tiny.py', '--work-dir', 'work'],
        cwd=scenes,
        env={**os.environ, 'PYTHONPATH': f'{ROOT}:{scenes}'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    # The prefix of the project's metric names the best checkpoint.
    (best,) = (scenes / 'work').glob('best_scenes_mIoU_iter_2.pth')
    state = torch.load(best, weights_only=False)['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
