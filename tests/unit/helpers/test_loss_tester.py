"""The battery passes a sound loss, and each of its tests catches a fault."""

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses.rank_means import mean_of_valid

BATTERY = sorted(name for name in dir(LossTester) if name.startswith('test_'))


def sound(x, valid):
    return mean_of_valid(x.to(torch.promote_types(x.dtype, torch.float32)) ** 2, valid)


def wrong_value(x, valid):
    return 1.001 * sound(x, valid)


def wrong_for_one(x, valid):
    return sound(x, valid) if len(x) > 1 else 2 * sound(x, valid)


def wrong_gradient(x, valid):
    return sound(x, valid).detach() + 2 * sound(x, valid) - 2 * sound(x, valid).detach()


def half_inside(x, valid):
    if x.dtype == torch.float64:
        return sound(x, valid)
    return sound(x.bfloat16() * 1.01, valid) / 1.01**2


def nan_if_empty(x, valid):
    return (x.float() if x.dtype == torch.bfloat16 else x)[valid].square().mean()


def mean_of_one_rank(x, valid):
    x = x.float() if x.dtype == torch.bfloat16 else x
    return (x**2 * valid).sum() / valid.sum().clamp(min=1)


def branch_on_data(x, valid):
    return sound(x, valid) if valid.any() else x.sum() * 0


def slow(x, valid):
    values = [v**2 for v, inside in zip(x.tolist(), valid.tolist()) if inside]
    return sum(values) / len(values)


class Battery(LossTester):
    reference = staticmethod(slow)
    blank = (1, 0)
    splits = ((2, 2), (1, 3))

    def __init__(self, loss):
        self.loss = loss

    def inputs(self):
        x = torch.tensor([0.3, -1.7, 2.1, 0.9], dtype=torch.float64)
        return {'plain': (x, torch.tensor([True, True, True, True]))}


@pytest.mark.parametrize('test', BATTERY)
def test_a_sound_loss_passes(test):
    getattr(Battery(sound), test)()


FAULTS = [
    (wrong_value, 'test_equals_the_reference', 'plain: off by'),
    (wrong_for_one, 'test_equals_the_reference', 'plain, 0: off by'),
    (wrong_gradient, 'test_gradient', 'Jacobian mismatch'),
    (half_inside, 'test_half_precision', 'plain, .*: off by'),
    (nan_if_empty, 'test_nothing_to_train_on', 'plain: nan'),
    (mean_of_one_rank, 'test_two_processes_equal_one', 'rank 0 blank: off by'),
    (branch_on_data, 'test_compiled_equals_eager', 'Data-dependent'),
]


@pytest.mark.parametrize(('loss', 'test', 'message'), FAULTS)
def test_a_faulty_loss_is_caught(loss, test, message):
    with pytest.raises(Exception, match=message):
        getattr(Battery(loss), test)()


def test_every_test_of_the_battery_is_tried_on_a_fault():
    assert {test for _, test, _ in FAULTS} == set(BATTERY)


def test_a_rule_for_the_gradient_replaces_finite_differences():
    tester = Battery(wrong_gradient)
    tester.gradient = lambda x, valid: 2 * 2 * x / len(x)
    tester.test_gradient()
    tester.gradient = lambda x, valid: 2 * x / len(x)
    with pytest.raises(AssertionError, match='off by'):
        tester.test_gradient()


def test_a_loss_must_be_a_scalar():
    tester = Battery(lambda x, valid: (x**2).mean(0, keepdim=True))
    with pytest.raises(AssertionError, match='scalar'):
        tester.test_nothing_to_train_on()
