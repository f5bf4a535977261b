"""A phase is unset until its hook has set it."""

import copy

import pytest
import torch
from torch import nn

from mmseg_wsss.models.utils import Phase, phases_of


class Base(nn.Module):
    warmup = Phase("dict(type='WeakWarmupHook', iters=...)")


class Method(Base):
    progress = Phase("dict(type='MeanTeacherHook', decay=...)")

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def on_progress(self, progress: float) -> None:
        self.values.append(progress)


def test_reading_an_unset_phase_shows_the_hook():
    model = Method()
    message = (
        r"Method.progress is unset; add dict\(type='MeanTeacherHook', decay=...\) to "
        'custom_hooks'
    )
    with pytest.raises(RuntimeError, match=message):
        model.progress  # noqa: B018
    with pytest.raises(RuntimeError, match=message):
        Method.progress.require(model)


@pytest.mark.parametrize('value', [False, None, 0.0])
def test_any_value_counts_as_set(value):
    model = Method()
    model.warmup = value
    Method.warmup.require(model)
    assert model.warmup is value


def test_new_values_are_passed_on():
    model = Method()
    model.progress = 0.25
    model.progress = 0.5
    assert model.values == [0.25, 0.5]


def test_phases_belong_to_one_segmentor_and_are_not_saved():
    first, second = Method(), Method()
    first.warmup = True
    with pytest.raises(RuntimeError):
        second.warmup  # noqa: B018
    assert not first.state_dict()
    assert copy.deepcopy(first).warmup is True


def test_phases_of_a_segmentor():
    assert list(phases_of(Method())) == ['progress', 'warmup']
    assert list(phases_of(Base())) == ['warmup']
    assert phases_of(nn.Linear(1, 1)) == {}


def test_a_requirement_is_compiled_once_for_all_values():
    class Step(Method):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            type(self).progress.require(self)
            return 2 * x

    model, compilations = Step(), []

    def backend(graph, inputs):
        compilations.append(graph)
        return graph.forward

    step = torch.compile(model, backend=backend, fullgraph=True)
    for i in range(4):
        model.progress = i / 4
        assert step(torch.ones(1)) == 2
    assert len(compilations) == 1
