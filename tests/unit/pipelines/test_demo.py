"""A demo for a trial."""

from copy import deepcopy

import pytest
from mmengine.config import Config

from mmseg_wsss.pipelines.demo import shortened

CFG = {
    'train_cfg': {'type': 'IterBasedTrainLoop', 'max_iters': 100, 'val_interval': 20},
    'param_scheduler': [
        {'type': 'LinearLR', 'begin': 0, 'end': 10, 'by_epoch': False},
        {'type': 'PolyLR', 'begin': 10, 'end': 100, 'power': 9, 'by_epoch': False},
    ],
    'custom_hooks': [
        {'type': 'WeakWarmupHook', 'iters': 10},
        {'type': 'PWMDistillationHook', 'period': 12, 'divisor': 6, 'begin': 2},
    ],
    'default_hooks': {
        'checkpoint': {'type': 'AtomicCheckpointHook', 'interval': 50},
        'logger': {'type': 'LoggerHook', 'interval': 10},
    },
}


def test_all_numbers_of_iterations_are_divided():
    cfg = Config(deepcopy(CFG))
    found = shortened(cfg, 3).to_dict()
    expected = deepcopy(CFG)
    expected['train_cfg'] |= {'max_iters': 33, 'val_interval': 6}
    warmup, decay = expected['param_scheduler']
    warmup['end'] = decay['begin'] = 3
    decay['end'] = 33
    iters, pwm = expected['custom_hooks']
    iters['iters'] = 3
    pwm |= {'period': 4, 'begin': 1}  # at least 1
    expected['default_hooks']['checkpoint']['interval'] = 16
    assert found == expected
    assert cfg.to_dict() == CFG
    assert shortened(cfg, 1).to_dict() == CFG


@pytest.mark.parametrize('none', [None, []])
def test_a_config_without_hooks_of_its_own(none):
    cfg = Config({**deepcopy(CFG), 'custom_hooks': none, 'param_scheduler': none})
    assert shortened(cfg, 50).train_cfg.to_dict() == {
        **CFG['train_cfg'],
        'max_iters': 2,
        'val_interval': 1,
    }
