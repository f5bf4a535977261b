"""Dilated depthwise convolutions without dilation against torch's."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmseg_wsss.models.utils import SpaceToBatchConv2d


def conv(dilation=2, kernel_size=3, out_channels=4, **kwargs) -> nn.Conv2d:
    size, step = (
        x if isinstance(x, tuple) else (x, x) for x in (kernel_size, dilation)
    )
    kwargs.setdefault('padding', tuple(d * (k - 1) // 2 for d, k in zip(step, size)))
    kwargs.setdefault('groups', 4)
    return nn.Conv2d(4, out_channels, kernel_size, dilation=dilation, **kwargs)


@pytest.mark.parametrize('size', [(8, 8), (9, 7), (12, 5)], ids=str)
@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(bias=False),
        dict(dilation=(1, 2)),
        dict(dilation=(3, 2), kernel_size=(3, 5)),
        dict(out_channels=8),
    ],
    ids=str,
)
def test_outputs_and_gradients_are_those_of_the_dilated_one(options, size, monkeypatch):
    torch.manual_seed(0)
    plain = conv(**options).double()
    assert SpaceToBatchConv2d.suits(plain)
    other = copy.deepcopy(plain)
    other.__class__ = SpaceToBatchConv2d
    maps = torch.randn(2, 4, *size, dtype=torch.double, requires_grad=True)
    expected = plain(maps)
    expected_grads = torch.autograd.grad(
        expected.square().sum(), (maps, *plain.parameters())
    )
    dilations = []
    convolve = F.conv2d

    def conv2d(*args, **kwargs):
        dilations.append(kwargs.get('dilation', 1))
        return convolve(*args, **kwargs)

    monkeypatch.setattr(F, 'conv2d', conv2d)
    found = other(maps)
    assert dilations == [1]
    torch.testing.assert_close(found, expected)
    grads = torch.autograd.grad(found.square().sum(), (maps, *other.parameters()))
    torch.testing.assert_close(grads, expected_grads)
    assert torch.autograd.gradcheck(other, maps)


def test_small_maps_are_convolved_as_before():
    plain = conv(dilation=6)
    other = copy.deepcopy(plain)
    other.__class__ = SpaceToBatchConv2d
    for size in ((11, 20), (20, 11), (1, 1)):
        maps = torch.randn(2, 4, *size)
        torch.testing.assert_close(other(maps), plain(maps), rtol=0, atol=0)


@pytest.mark.parametrize(
    'options',
    [
        dict(dilation=1),
        dict(groups=2),
        dict(stride=2),
        dict(padding=1),
        dict(padding='same'),
        dict(padding_mode='reflect'),
        dict(kernel_size=2, padding=1),
    ],
    ids=str,
)
def test_other_convolutions_do_not_suit(options):
    assert not SpaceToBatchConv2d.suits(conv(**options))
    assert not SpaceToBatchConv2d.suits(nn.ConvTranspose2d(4, 4, 3, groups=4))
