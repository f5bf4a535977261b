"""Trainings on the toy images, as ``make demo``, for what is left of the time."""

import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from mmseg_wsss import config_path
from mmseg_wsss.datasets.toy.toy_voc import generate
from mmseg_wsss.pipelines.demo import train

from .measuring import Setting

SHARE = 30
# Config, the training from which it starts, and its pseudo-labels.
TRAININGS = {
    'CAM': ('cam/cam_r18_1xb16-400_wsss-toy-voc-128.py', None, ('cam',)),
    'ASDT': (
        'asdt/asdt_r18_1xb16-240_wsss-toy-voc-128.py',
        'CAM',
        ('cam', 'teacher_a', 'teacher_b', 'fused'),
    ),
    '10 masks': (
        'supervised/supervised_r18_1xb8+8-700_semi-10-toy-voc-128.py',
        None,
        (),
    ),
    'MKD': ('mkd/mkd_r18_1xb8+8-600_semi-10-toy-voc-128.py', '10 masks', ()),
    'RCMMAM': ('rcm_mam/rcmmam_r18_1xb16-400_wsss-toy-voc-128.py', None, ('cam',)),
    'TSCD': ('tscd/tscd_r18_1xb16-240_wsss-toy-voc-128.py', 'CAM', ('cam',)),
    'AFA': ('afa/afa_r18_1xb16-240_wsss-toy-voc-128.py', 'CAM', ('cam',)),
}
SETTINGS = {'ASDT': {'single scale': {}, 'single scale + CRF': {'crf': True}}}


def rows(setting: Setting) -> Iterator[dict]:
    root = Config.fromfile(config_path(TRAININGS['CAM'][0])).data_root
    small = {'num_train': 16, 'num_val': 2} if setting.tiny else {}
    generate(root, **small)
    checkpoints: dict[str, str] = {}
    for name, (config, start, sources) in TRAININGS.items():
        options = {'load_from': checkpoints[start]} if start else {}
        begin = time.time()
        result = train(
            config_path(config),
            Path(name).absolute(),
            200 if setting.tiny else 1,
            options,
            sources,
            SETTINGS.get(name),
        )
        checkpoints[name] = result.pop('checkpoint')
        yield {'what': name, 'ok': True, 'wall_s': time.time() - begin, **result}
        if setting.tiny:
            return
