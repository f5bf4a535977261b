"""Folded, channels-last convolutions against the plain ones."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmseg_wsss.engine.hooks import EfficientConvHook


def network(frozen: bool) -> nn.Module:
    """Return dense, depthwise and pointwise convolutions, the last without norm."""
    norm = dict(type='BN', requires_grad=not frozen)
    net = nn.Sequential(
        ConvModule(3, 8, 3, stride=2, padding=1, norm_cfg=norm),
        ConvModule(8, 8, 3, padding=2, dilation=2, groups=8, norm_cfg=norm),
        ConvModule(8, 4, 1),
        nn.BatchNorm2d(4),
    ).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            module.train(not frozen)
    return net


@pytest.mark.parametrize('frozen', [True, False], ids=['frozen', 'training'])
def test_outputs_gradients_and_statistics_agree(frozen, monkeypatch):
    torch.manual_seed(0)
    plain = network(frozen)
    efficient = copy.deepcopy(plain)
    EfficientConvHook().before_run(SimpleNamespace(model=efficient))
    called = []
    normalize = nn.BatchNorm2d.forward

    def forward(self, x):
        called.append(self)
        return normalize(self, x)

    monkeypatch.setattr(nn.BatchNorm2d, 'forward', forward)
    images = torch.randn(2, 3, 9, 7, dtype=torch.double)
    outputs = [net(images) for net in (plain, efficient)]
    # Norms in eval mode are folded; the last is not a ConvModule's.
    assert len(called) == 3 + (1 if frozen else 3)
    assert outputs[1].is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)
    for output in outputs:
        output.square().sum().backward()
    pairs = zip(plain.named_parameters(), efficient.parameters())
    for (name, one), other in pairs:
        if one.requires_grad:
            torch.testing.assert_close(one.grad, other.grad, msg=name)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(value, efficient.state_dict()[key], msg=key)


def test_other_layers_keep_their_memory_format():
    model = nn.ModuleList([nn.Conv2d(4, 4, 3), nn.Conv3d(4, 4, 3), nn.Linear(4, 4)])
    EfficientConvHook().before_run(SimpleNamespace(model=model))
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous()
