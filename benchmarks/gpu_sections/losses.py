"""Losses at published sizes, and their gradients."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mmseg_wsss.models import losses

from .measuring import Setting


def images(num: int, size: int) -> Tensor:
    """Smooth images (N, 3, size, size) in 0..255; the first one is flat."""
    coarse = torch.rand(num, 3, max(size // 8, 2), max(size // 8, 2)) * 255
    img = interpolate(coarse, (size, size), mode='bilinear')
    img[0] = 128.0
    return img


def loss_inputs(num: int, side: int) -> dict[str, tuple[Tensor, tuple]]:
    """Return the input with a gradient, and the other arguments, of every loss."""
    torch.manual_seed(0)
    logits = torch.randn(num, 21, side, side)
    label = torch.randint(21, (num, side, side))
    label[:, :2] = 255
    cam, points = torch.rand(num, 20, side, side), torch.rand(2, num, 200, 2) * 2 - 1
    grid = side // 16 + 1
    affinity = torch.rand(num, grid**2, grid**2)
    energy = images(num, side), torch.ones(num, side, side), label
    tags = torch.randint(2, (num, 20)).float()
    return {
        'balanced_cross_entropy': (logits, (label,)),
        'valid_cross_entropy': (logits, (label,)),
        'dense_energy_loss': (logits.softmax(1), energy),
        'affinity_loss': (affinity, (label[:, :grid, :grid],)),
        'self_correspondence_loss': (logits, (cam, *points)),
        'equivariant_loss': (cam, (cam.flip(0), tags)),
        'multi_scale_attentive_loss': (cam, (cam.flip(0),)),
    }


def call_loss(name: str, value: Tensor, rest: tuple, **options: str) -> Tensor:
    """Call a loss with its arguments in their order."""
    function = getattr(losses, name)
    if name == 'dense_energy_loss':
        return function(value, *rest, **options)
    if name == 'self_correspondence_loss':
        cam, *points = rest
        return function(cam, value, cam, value.flip(0), *points)
    if name == 'multi_scale_attentive_loss':
        return function([value, value], [rest[0], rest[0]])
    return function(value, *rest)


def with_gradient(
    name: str, value: Tensor, rest: tuple, function: Callable[..., Tensor] = call_loss
) -> Tensor:
    """Return a loss and, appended, its gradient."""
    value = value.detach().requires_grad_()
    loss = function(name, value, rest)
    (grad,) = torch.autograd.grad(loss, value)
    return torch.cat([loss.detach()[None], grad.flatten()])


NAMES = tuple(loss_inputs(1, 16))


def arguments(name: str, setting: Setting) -> tuple[Tensor, tuple]:
    """Return the arguments of a loss, on the CPU."""
    return loss_inputs(*((2, 33) if setting.tiny else (4, 321)))[name]
