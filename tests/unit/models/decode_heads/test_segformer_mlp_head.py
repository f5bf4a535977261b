"""SegFormerMLPHead: the formula, written out."""

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.decode_heads import SegFormerMLPHead

CHANNELS = [4, 6, 8, 10]


def head(**settings) -> SegFormerMLPHead:
    torch.manual_seed(0)
    settings = {'num_classes': 3, 'norm_cfg': {'type': 'BN'}} | settings
    model = SegFormerMLPHead(CHANNELS, 5, align_corners=False, **settings)
    model.init_weights()
    torch.nn.init.normal_(model.fusion.conv.weight)
    return model


def feats() -> list[torch.Tensor]:
    sizes = [(16, 18), (8, 9), (4, 5), (4, 5)]
    return [torch.randn(2, c, *size) for c, size in zip(CHANNELS, sizes)]


def naive(model: SegFormerMLPHead, levels: list[torch.Tensor]) -> torch.Tensor:
    """Every level embedded, resized, concatenated from the last to the first."""
    embedded = []
    for linear, level in zip(model.linears, levels):
        tokens = level.flatten(2).transpose(1, 2) @ linear.weight[:, :, 0, 0].T
        tokens = (tokens + linear.bias).transpose(1, 2).unflatten(2, level.shape[2:])
        embedded.append(F.interpolate(tokens, levels[0].shape[2:], mode='bilinear'))
    fused = model.fusion.conv(torch.cat(embedded[::-1], 1))
    fused = model.fusion.norm(fused) if model.fusion.with_norm else fused
    return model.conv_seg(fused.relu())


@pytest.mark.parametrize('norm_cfg', [{'type': 'BN'}, None])
def test_against_the_concatenation(norm_cfg):
    model, levels = head(norm_cfg=norm_cfg).eval(), feats()
    logits = model(levels)
    assert logits.shape == (2, 3, 16, 18)
    torch.testing.assert_close(logits, naive(model, levels), atol=1e-5, rtol=1e-4)


def test_more_maps_than_it_reads():
    model, levels = head().eval(), feats()
    queries = torch.randn(2, 64, 4, 5)
    assert torch.equal(model([*levels, queries]), model(levels))


def test_shapes_of_the_paper():
    with torch.device('meta'):
        model = SegFormerMLPHead((64, 128, 320, 512), num_classes=21)
    shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
    assert shapes['linears.3.weight'] == (256, 512, 1, 1)
    assert shapes['fusion.conv.weight'] == (256, 1024, 1, 1)
    assert shapes['conv_seg.weight'] == (21, 256, 1, 1)
    assert model.dropout.p == 0.1


def test_gradients_reach_everything():
    model = head().train()
    model(feats()).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())
