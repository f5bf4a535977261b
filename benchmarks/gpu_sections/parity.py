"""Losses and gradients of every method and phase: the GPU against the CPU.

Once with the labels of the method, and in its last phase with tags and masks.
"""

from collections.abc import Iterator

import torch
from helpers.methods import METHODS
from helpers.mixed import LABELS
from helpers.tiny import set_phase
from timing import to_device
from torch import Tensor, nn

from .measuring import Setting, relative_gap

SHARE = 16
# Thresholds decide on labels, so that rounding can move a few pixels. Half precision
# shows that nothing overflows and no network is left out.
LOSS_GAP = {'float32': 1e-3, 'float16': 0.1, 'bfloat16': 0.1}
GRAD_GAP = {'float32': 1e-2, 'float16': 1.0, 'bfloat16': 1.0}
LOSS_SCALE = {'float16': 128.0}


def rows(setting: Setting) -> Iterator[dict]:
    for name in setting.methods:
        phases = METHODS[name].phases
        for phase, mixed in (*((phase, False) for phase in phases), (phases[-1], True)):
            expected = step(name, phase, 'cpu', 'float32', mixed)
            for dtype in LOSS_GAP:
                if dtype == 'float16' and not setting.gpu:
                    continue
                found = step(name, phase, setting.device, dtype, mixed)
                what = f'{name} {phase} {dtype}' + ', tags and masks' * mixed
                yield compare(what, dtype, found, expected)


def step(
    name: str, phase: dict, device: str, dtype: str, mixed: bool
) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Return the loss and the gradients of all trainable weights."""
    network, batch_of = LABELS['mixed' if mixed else 'own']
    model = same_everywhere(network(name, drop=False).to(device))
    set_phase(model, phase)
    inputs, samples = to_device(batch_of(name, num=4, size=(65, 81)), device)
    half = dtype != 'float32'
    with torch.autocast(
        device, dtype=getattr(torch, dtype) if half else None, enabled=half
    ):
        losses = model.loss(inputs, samples)
    total, _ = model.parse_losses(losses)
    scale = LOSS_SCALE.get(dtype, 1.0)
    (scale * total).backward()
    return total.detach().cpu(), {
        key: None if p.grad is None else p.grad.cpu() / scale
        for key, p in model.named_parameters()
        if p.requires_grad
    }


def same_everywhere(model: nn.Module) -> nn.Module:
    """Let TSCD draw the same points on every device."""
    if hasattr(model, 'random_points'):
        points = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(0))
        model.random_points = lambda valid: points.to(valid.device).expand(
            len(valid), -1, -1
        )
    return model


def compare(what: str, dtype: str, found: tuple, expected: tuple) -> dict:
    (total, grads), (total_cpu, grads_cpu) = found, expected
    missing = [key for key, grad in grads.items() if grad is None]
    whole = [key for key in grads if key not in missing and grads_cpu[key] is not None]
    broken = [key for key in whole if not grads[key].isfinite().all()]
    loss_gap = relative_gap(total, total_cpu)
    flat = [torch.cat([g[key].flatten() for key in whole]) for g in (grads, grads_cpu)]
    grad_gap = relative_gap(*flat)
    return {
        'what': what,
        'ok': not missing
        and not broken
        and loss_gap < LOSS_GAP[dtype]
        and grad_gap < GRAD_GAP[dtype],
        'loss_gap': loss_gap,
        'grad_gap': grad_gap,
        'without_gradient': missing[:3],
        'not_finite': broken[:3],
    }
