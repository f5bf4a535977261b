"""Converted weights compute what torchvision's network computes."""

import pytest
import torch
from mmseg.models.backbones import MobileNetV2
from torch import nn

from mmseg_wsss.models.backbones.mobilenet_v2_weights import from_torchvision

# Expansion, channels, blocks, stride: table 2 of the paper.
ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def conv_bn(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
    conv = nn.Conv2d(
        inputs, outputs, size, stride, size // 2, groups=groups, bias=False
    )
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6())


class Block(nn.Module):
    """An inverted residual with the modules and names of torchvision."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        parts = [conv_bn(inputs, hidden, 1)] if expansion > 1 else []
        parts.append(conv_bn(hidden, hidden, 3, stride, hidden))
        parts += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*parts)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.conv(inputs) if self.skip else self.conv(inputs)


def torchvision_network() -> nn.Module:
    """MobileNetV2 as in torchvision, with random weights and statistics."""
    torch.manual_seed(0)
    parts, channels = [conv_bn(3, 32, 3, 2)], 32
    for expansion, outputs, number, stride in ROWS:
        for index in range(number):
            parts.append(Block(channels, outputs, 1 if index else stride, expansion))
            channels = outputs
    parts.append(conv_bn(channels, 1280, 1))
    network = nn.Module()
    network.features = nn.Sequential(*parts)
    network.classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 10))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def test_the_backbone_computes_the_same():
    network = torchvision_network()
    # mmseg's strides of the layers are for segmentation; these are the paper's.
    backbone = MobileNetV2(
        strides=(1, 2, 2, 2, 1, 2, 1), dilations=(1,) * 7, out_indices=range(7)
    )
    backbone.load_state_dict(from_torchvision(network.state_dict(), 'file'))
    backbone.eval()
    inputs = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, expected, wanted = backbone(inputs), inputs, []
        for index, part in enumerate(network.features):
            expected = part(expected)
            if index in (1, 3, 6, 10, 13, 16, 17):  # last blocks of the layers
                wanted.append(expected)
    for first, second in zip(found, wanted, strict=True):
        torch.testing.assert_close(first, second)


def test_another_network_is_refused():
    with pytest.raises(ValueError, match=r'file: expected the state dict of torchv'):
        from_torchvision({'conv1.weight': torch.zeros(1)}, 'file')
