"""Modes are switched for a while, and restored for every module."""

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from torch import nn

from mmseg_wsss.models.utils import (
    at_least_float32,
    eval_mode,
    matches_eval_mode,
    unwrap,
)


def network(p: float = 0.5) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(p))


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.mark.parametrize('error', [False, True])
def test_every_mode_is_restored(error):
    model = network()
    model[1].eval()
    before = modes(model)
    try:
        with eval_mode(model):
            assert not any(modes(model))
            if error:
                raise KeyError
    except KeyError:
        pass
    assert modes(model) == before == [True, True, False, True]


def test_dropout_can_be_kept():
    model = network()
    with eval_mode(model, keep_dropout=True):
        assert modes(model) == [False, False, False, True]


def test_statistics_do_not_change():
    model = network()
    with eval_mode(model):
        model(torch.randn(4, 1, 3, 3))
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ('layer', 'expected'),
    [
        (nn.ReLU(), True),
        (nn.Dropout(0.5), False),
        (nn.Dropout(0.0), True),
        (nn.MultiheadAttention(2, 1, dropout=0.1), False),
        (nn.MultiheadAttention(2, 1), True),
        (nn.BatchNorm2d(2), False),
        (nn.BatchNorm2d(2).eval(), True),
        (nn.GroupNorm(1, 2), True),
        (DropPath(0.1), False),
        (DropPath(0.0), True),
    ],
)
def test_a_forward_pass_that_equals_one_in_eval_mode(layer, expected):
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Sequential(layer))
    assert matches_eval_mode(model) == expected
    assert matches_eval_mode(model.eval())


def test_wrappers_are_removed():
    model = network()
    assert unwrap(model) is model
    assert unwrap(nn.DataParallel(model)) is model
    assert unwrap(torch.compile(model, backend='eager')) is model


def test_types_are_at_least_float32():
    for dtype, expected in (
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ):
        assert at_least_float32(torch.ones(1, dtype=dtype)).dtype == expected
