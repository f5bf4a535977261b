"""``torch.compile`` of losses and of whole steps: graph breaks and times."""

import time
from collections.abc import Callable, Iterator

import torch
from helpers.methods import METHODS
from helpers.tiny import batch_of, set_phase, tiny_network
from timing import to_device
from torch import Tensor

from .losses import NAMES, arguments, call_loss, with_gradient
from .measuring import Setting, milliseconds, relative_gap
from .recipes import RECIPES

SHARE = 14


def rows(setting: Setting) -> Iterator[dict]:
    for name in NAMES[: 1 if setting.tiny else None]:
        yield loss_row(name, setting)
    for name in ('CAM',) if setting.tiny else ('MKD', 'RCMMAM', 'TSCD', 'ASDT'):
        yield step_row(name, setting)


def loss_row(name: str, setting: Setting) -> dict:
    value, rest = to_device(arguments(name, setting), setting.device)
    fast = torch.compile(call_loss, backend=backend(setting))
    calls = {
        'eager': lambda: with_gradient(name, value, rest),
        'compiled': lambda: with_gradient(name, value, rest, fast),
    }
    begin = time.perf_counter()
    gap = relative_gap(calls['compiled'](), calls['eager']())
    row = {'what': name, 'ok': gap < 1e-3, 'gap': gap}
    row['first_s'] = time.perf_counter() - begin
    row['ms'] = milliseconds(calls, setting)
    torch._dynamo.reset()
    return row


def backend(setting: Setting) -> str:
    return 'inductor' if setting.gpu else 'eager'


def step_row(name: str, setting: Setting) -> dict:
    if setting.tiny:  # tracing the network of a recipe takes long
        model, (inputs, samples) = tiny_network(name), batch_of(name)
        *_, attributes = METHODS[name].phases
    else:
        recipe = RECIPES[name]
        model, (inputs, samples) = recipe.build(setting), recipe.batch(setting)
        *_, attributes = recipe.phases.values()
    set_phase(model, attributes)

    def step(loss: Callable) -> Tensor:
        with torch.autocast(setting.device, torch.bfloat16):
            total = model.parse_losses(loss(inputs, samples))[0]
        total.backward()
        model.zero_grad()
        return total

    torch._dynamo.utils.counters.clear()
    fast = torch.compile(model.loss, backend=backend(setting))
    begin = time.perf_counter()
    total = step(fast)
    row = {'what': name, 'ok': bool(total.isfinite())}
    row['first_s'] = time.perf_counter() - begin
    calls = {'eager': lambda: step(model.loss), 'compiled': lambda: step(fast)}
    row['ms'] = milliseconds(calls, setting, repeats=3)
    breaks = torch._dynamo.utils.counters['graph_break']
    row['breaks'] = {text.splitlines()[0]: n for text, n in breaks.items()}
    torch._dynamo.reset()
    return row
