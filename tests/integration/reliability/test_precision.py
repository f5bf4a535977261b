"""Under autocast only networks compute in half precision."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from emulated_cuda import count, on_gpu
from helpers.half_ops import HalfOps
from helpers.methods import METHODS, SEMI, WEAK
from helpers.mixed import LABELS, mixed_network
from helpers.tiny import batch_of, set_phase, tiny_network
from torch import nn

from mmseg_wsss.models.pseudo_labels import all_channels
from mmseg_wsss.models.utils import update_ema


def half_precision() -> torch.autocast:
    return torch.autocast('cpu', torch.bfloat16)


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Autocast to float16 by PyTorch's lists for CUDA, also without a GPU."""
    torch.set_autocast_enabled('cuda', True)
    torch.set_autocast_cache_enabled(False)  # emulated weights have no storage
    torch.set_autocast_dtype('cuda', torch.float16)
    try:
        yield
    finally:
        torch.set_autocast_enabled('cuda', False)
        torch.set_autocast_cache_enabled(True)


def test_an_operation_in_half_precision_is_found():
    maps = torch.ones(1, 2, 1, 1, dtype=torch.bfloat16)
    with HalfOps() as ops:
        all_channels(maps, torch.tensor([[0, 2]]), num_channels=4)
    assert any('pseudo_labels/tagged.py' in name for name in ops.found)


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('method', METHODS)
def test_pseudo_labels_statistics_and_losses_of_a_step_are_float32(method, labels):
    network, batch_of = LABELS[labels]
    model = network(method)
    batch = batch_of(method, num=3, tags=((0, 3), (1,), (2,)))
    for phase in METHODS[method].phases:
        set_phase(model, phase)
        with half_precision(), HalfOps() as ops:
            losses = model.loss(*batch)
        assert not ops.found, phase
        assert {v.dtype for k, v in losses.items() if 'loss' in k} == {torch.float32}


def test_the_lists_of_cuda_are_used():
    maps = on_gpu(torch.ones(2, 2))
    dtypes = []

    def call() -> None:
        with cuda_autocast():
            # Not in the list of float32 for CPUs: pow.
            dtypes.extend([(maps @ maps).dtype, (maps @ maps).pow(2).dtype])

    count(call)
    assert dtypes == [torch.float16, torch.float32]


@pytest.mark.parametrize('labels', LABELS)
@pytest.mark.parametrize('method', METHODS)
def test_a_step_is_float32_by_the_lists_of_cuda(method, labels):
    network, batch_of = LABELS[labels]
    model = on_gpu(network(method))
    batch = on_gpu(batch_of(method, num=3, tags=((0, 3), (1,), (2,))))
    found = {}

    def step() -> None:
        with cuda_autocast(), HalfOps() as ops:
            losses = model.loss(*batch)
        # Without gradients loss_idle is a number.
        values = [torch.as_tensor(v) for k, v in losses.items() if 'loss' in k]
        dtypes = {value.dtype for value in values}
        found[str(phase)] = ops.found, dtypes

    for phase in METHODS[method].phases:
        set_phase(model, phase)
        count(step)
    expected = set(), {torch.float32}
    assert found == {str(phase): expected for phase in METHODS[method].phases}


@torch.no_grad()
@pytest.mark.parametrize('method', WEAK)
def test_exported_pseudo_labels_are_float32(method):
    model = tiny_network(method).eval()
    sources = METHODS[method].pseudo_sources
    with half_precision(), HalfOps() as ops:
        results = model.pseudo_labels(*batch_of(method, num=2), sources)
    assert not ops.found
    maps = [maps for result in results for _, maps in result.values()]
    assert {m.dtype for m in maps if m.is_floating_point()} == {torch.float32}


@torch.no_grad()
@pytest.mark.parametrize('method', SEMI)
def test_predictions_are_float32(method):
    model = mixed_network(method).eval()  # with its prediction filter
    inputs, samples = batch_of(method, num=2)
    for name in (*model.networks, 'ensemble'):
        model.predict_on = name
        with half_precision(), HalfOps() as ops:
            model.predict(inputs['sup'], samples['sup'])
        assert not ops.found, name


def test_teachers_move_in_float32():
    teacher, student = nn.Linear(2, 2), nn.Linear(2, 2)
    with half_precision(), HalfOps() as ops:
        update_ema(teacher, student, 0.99)
    assert not ops.found
