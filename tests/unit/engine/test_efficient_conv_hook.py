"""Folded, channels-last convolutions against the plain ones."""

import copy

import pytest
import torch
from helpers.tiny import tiny_config
from mmcv.cnn import ConvModule
from mmengine.runner import Runner
from torch import nn

from mmseg_wsss.engine.hooks.efficient_conv_hook import make_efficient
from mmseg_wsss.models.utils import SpaceToBatchConv2d

NORM = dict(type='BN')


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
    make_efficient(efficient)
    assert type(efficient[1].conv) is SpaceToBatchConv2d
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
    make_efficient(model)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert model[1].weight.is_contiguous()


def test_convolutions_of_other_kinds_are_not_folded():
    """This one pads in its own ``forward``, which folding would leave out."""
    padded = ConvModule(
        3, 4, 3, stride=2, conv_cfg=dict(type='Conv2dAdaptivePadding'), norm_cfg=NORM
    ).eval()
    images = torch.randn(1, 3, 9, 8)
    expected = padded(images)
    make_efficient(padded)
    torch.testing.assert_close(padded(images), expected)


def test_random_weights_are_those_without_the_hook(tmp_path, tiny_voc):
    """The hook acts after the weights are drawn; another order would change them."""
    weights = []
    for hook in ({}, {'efficient_conv': dict(type='EfficientConvHook')}):
        cfg = tiny_config('RRM', tiny_voc, tmp_path / str(len(weights)), 1)
        cfg.optim_wrapper.optimizer.lr = 0.0
        cfg.default_hooks.update(hook)
        runner = Runner.from_cfg(cfg)
        runner.train()
        weights.append({k: v.clone() for k, v in runner.model.named_parameters()})
    plain, efficient = weights
    convolutions = [v for k, v in efficient.items() if v.ndim == 4 and v.shape[2] > 1]
    for weight in convolutions:
        assert weight.is_contiguous(memory_format=torch.channels_last)
    for name, weight in plain.items():
        assert torch.equal(weight, efficient[name]), name
