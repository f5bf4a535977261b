"""Hooks set the phases of a segmentor, and refuse one without them."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmseg_wsss.engine.hooks import WeakWarmupHook
from mmseg_wsss.engine.hooks.phase_hook import PhaseHook
from mmseg_wsss.models.utils import Phase


class Method(nn.Module):
    even = Phase("dict(type='EvenHook')")


class EvenHook(PhaseHook):
    phase = 'even'

    def value(self, runner) -> bool:
        return runner.iter % 2 == 0


def test_the_phase_of_every_iteration_is_set():
    runner = SimpleNamespace(model=Method(), iter=0)
    hook = EvenHook()
    hook.before_train(runner)
    for runner.iter in range(3):
        hook.before_train_iter(runner, runner.iter)
        assert runner.model.even == (runner.iter % 2 == 0)


@pytest.mark.parametrize('iters', [0, 2])
def test_the_warm_up_has_its_number_of_iterations(iters):
    hook = WeakWarmupHook(iters)
    values = [hook.value(SimpleNamespace(iter=i)) for i in range(4)]
    assert values == [True] * iters + [False] * (4 - iters)


def test_wrappers_are_looked_through():
    model = Method()
    runner = SimpleNamespace(model=torch.compile(model, backend='eager'), iter=4)
    hook = EvenHook()
    hook.before_train(runner)
    hook.before_train_iter(runner, 0)
    assert model.even is True


@pytest.mark.parametrize('model', [nn.Linear(1, 1), nn.Module()])
def test_a_segmentor_without_the_phase_is_refused(model):
    name = type(model).__name__
    with pytest.raises(TypeError, match=f'EvenHook sets even, .*{name} does not have'):
        EvenHook().before_train(SimpleNamespace(model=model))
