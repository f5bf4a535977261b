"""mmseg projects elsewhere on disk that use the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mmseg
import pytest
import torch

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
    *_base_.custom_hooks[:2],
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
