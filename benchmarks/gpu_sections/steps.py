"""Whole steps of the published recipes, against naive formulations."""

import math
from collections.abc import Callable, Iterator

import torch
from helpers.tiny import set_phase
from torch import Tensor, nn

from mmseg_wsss.models.utils import update_ema

from .measuring import Setting, milliseconds, profile_of, waits_of
from .recipes import RECIPES, total_of

SHARE = 30
DTYPES = ('float32', 'float16', 'bfloat16')


def rows(setting: Setting) -> Iterator[dict]:
    """Yield the steps as published with the naive ones, then other types."""
    for name, recipe in RECIPES.items():
        # Autocast to float16 is for GPUs.
        dtype = 'float32' if setting.tiny else recipe.dtype
        yield from rows_of(name, dtype, setting, with_naive=True)
    if setting.tiny:
        yield from rows_of('MKD', 'bfloat16', setting)
        return
    for name, recipe in RECIPES.items():
        for dtype in DTYPES:
            if dtype != recipe.dtype:
                yield from rows_of(name, dtype, setting)


def rows_of(
    name: str, dtype: str, setting: Setting, with_naive: bool = False
) -> Iterator[dict]:
    recipe = RECIPES[name]
    model, data = recipe.build(setting), recipe.batch(setting)
    weights = [p for p in model.parameters() if p.requires_grad]
    # All steps have the same weights: their losses differ by dropout alone.
    optimizer = torch.optim.SGD(weights, 0.0, momentum=0.9)
    totals = {'ours': lambda: total_of(model, data)}
    if with_naive:
        totals['naive'] = recipe.naive(model, data)
    steps = {
        run: step_of(total, model, optimizer, dtype, setting)
        for run, total in totals.items()
    }
    for phase, attributes in recipe.phases.items():
        set_phase(model, attributes)
        row = {'what': f'{name}, {phase}, {dtype}', 'ok': False}
        row |= {'recipe': name, 'phase': phase, 'dtype': dtype}
        try:
            row |= measured(steps, setting)
        except Exception as error:
            row['error'] = repr(error)[:400]
        yield row


def measured(steps: dict[str, Callable[[], Tensor]], setting: Setting) -> dict:
    """Return losses, times and memory of every step, and the kernels of ours."""
    losses, memory, errors = {}, {}, {}
    for run, step in list(steps.items()):
        if setting.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            losses[run] = float(step())
        except Exception as error:
            if run == 'ours':
                raise
            errors['naive_error'] = repr(error)[:400]
            steps = {'ours': steps['ours']}
        if setting.gpu:
            memory[run] = torch.cuda.max_memory_allocated() / 2**30
    ours = steps['ours']
    row = {'loss': losses, 'GiB': memory, 'ms': milliseconds(steps, setting, 5)}
    row |= errors
    row |= {'waits': waits_of(ours, setting), **profile_of(ours, setting)}
    row['idle_ratio'] = 1 - row['busy_ms'] / row['ms']['ours']
    finite = all(map(math.isfinite, losses.values()))
    return row | {'ok': finite and not errors}


def step_of(
    total_of: Callable[[], Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    dtype: str,
    setting: Setting,
) -> Callable[[], Tensor]:
    """Return a step: both directions, the optimizer and the teachers."""
    device, half = setting.device, dtype != 'float32'
    scaler = torch.amp.GradScaler(device, enabled=dtype == 'float16')
    autocast_to = getattr(torch, dtype) if half else None

    def step() -> Tensor:
        with torch.autocast(device, dtype=autocast_to, enabled=half):
            total = total_of()
        scaler.scale(total).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        for teacher, student in getattr(model, 'pairs', {}).items():
            update_ema(model.networks[teacher], model.networks[student], 0.996)
        return total.detach()

    return step
