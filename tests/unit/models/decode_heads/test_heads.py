"""CAMHead and LargeFOVHead: constants by hand, slow references, gradients."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import nn
from torch.autograd import gradcheck

from mmseg_wsss.models.decode_heads import CAMHead, LargeFOVHead
from mmseg_wsss.registry import MODELS


def hand_head(pooling: str) -> CAMHead:
    """Two classes on two channels: class 0 = x0 + 2 x1, class 1 = -x0."""
    head = CAMHead(2, 2, pooling=pooling, dropout_ratio=0.5).eval()
    weight = torch.tensor([[1.0, 2.0], [-1.0, 0.0]])
    head.classifier.weight.data = weight[:, :, None, None]
    return head


# Channel 0 is 0 1 2 3, channel 1 is 4 0 0 0.
HAND_FEAT = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]], [[4.0, 0.0], [0.0, 0.0]]]])


def test_gap_constants():
    head = hand_head('gap')
    assert head(HAND_FEAT).tolist() == [[1.5 + 2 * 1.0, -1.5]]
    assert head.raw_cam(HAND_FEAT).tolist() == [
        [[[8.0, 1.0], [2.0, 3.0]], [[0.0, -1.0], [-2.0, -3.0]]]
    ]
    assert head.cam(HAND_FEAT)[0, 1].abs().sum() == 0


def test_gmp_pools_before_the_convolution():
    # Maxima of the channels, 3 and 4, lie at different places; the maximum of the
    # map of class 0 is 8, so pooling afterwards would give 8.
    assert hand_head('gmp')(HAND_FEAT).tolist() == [[3.0 + 2 * 4.0, -3.0]]


@pytest.mark.parametrize('embed_channels', [None, 3])
@pytest.mark.parametrize('size', [(1, 1), (5, 7)])
def test_mean_of_raw_cam_is_the_logit(embed_channels, size):
    head = CAMHead(3, 4, embed_channels=embed_channels).double().eval()
    feat = torch.randn(1, 4, *size, dtype=torch.float64)
    torch.testing.assert_close(head(feat), head.raw_cam(feat).mean((2, 3)))


@pytest.mark.parametrize('pooling', ['gap', 'gmp'])
def test_dropout_acts_on_the_logits_only(pooling):
    torch.manual_seed(0)
    head = CAMHead(3, 16, pooling=pooling, dropout_ratio=0.5).train()
    feat = torch.rand(2, 16, 4, 4)
    assert not torch.equal(head(feat), head(feat))
    assert torch.equal(head.cam(feat), head.cam(feat))
    assert torch.equal(head.cam(feat), head.eval().cam(feat))


def test_dropout_drops_whole_channels():
    head = CAMHead(1, 64, dropout_ratio=0.5).train()
    nn.init.ones_(head.classifier.weight)
    torch.manual_seed(0)
    logit = head(torch.ones(1, 64, 3, 3)).item()
    # Every kept channel adds 1 / (1 - 0.5) = 2.
    assert logit == pytest.approx(round(logit / 2) * 2, abs=1e-4)
    assert 0 < logit < 128


def test_embedding_is_what_the_classifier_reads():
    head = CAMHead(2, 4, embed_channels=3, dropout_ratio=0.0)
    feat = torch.randn(2, 4, 5, 3)
    weight = head.embedding.weight[:, :, 0, 0]
    expected = torch.einsum('dc,nchw->ndhw', weight, feat).clamp(min=0)
    torch.testing.assert_close(head.embed(feat), expected)
    assert torch.equal(head.classifier(head.embed(feat)), head.raw_cam(feat))
    plain = CAMHead(2, 4)
    assert plain.embed(feat) is feat


@pytest.mark.parametrize('embed_channels', [None, 3])
@pytest.mark.parametrize('pooling', ['gap', 'gmp'])
def test_cam_head_gradients(pooling, embed_channels):
    torch.manual_seed(0)
    head = CAMHead(2, 4, 0, pooling, 0.0, embed_channels).double()
    feat = torch.randn(2, 4, 3, 2, dtype=torch.float64, requires_grad=True)
    assert gradcheck(head, (feat,))
    assert gradcheck(head.raw_cam, (feat,))
    (head([feat]).sum() + head.cam([feat]).sum()).backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())


@pytest.mark.parametrize('pooling', ['gap', 'gmp'])
def test_cam_head_bf16_is_close(pooling):
    torch.manual_seed(0)
    head = CAMHead(5, 32, pooling=pooling).eval()
    feat = torch.rand(2, 32, 9, 7)
    with torch.autocast('cpu', torch.bfloat16):
        logits, cam = head(feat), head.cam(feat)
    torch.testing.assert_close(logits.float(), head(feat), atol=2e-2, rtol=2e-2)
    torch.testing.assert_close(cam.float(), head.cam(feat), atol=2e-2, rtol=2e-2)


def test_cam_head_reads_in_index():
    head = CAMHead(3, 8, in_index=1).eval()
    feats = (torch.rand(1, 4, 6, 6), torch.rand(1, 8, 3, 3))
    assert torch.equal(head(feats), head(feats[1]))
    assert (head.cam(feats) >= 0).all()
    with pytest.raises(ValueError, match=r'expected 8 channels.*\(1, 4, 6, 6\)'):
        head(feats[:1] * 2)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'pooling': 'max'}, "'gap' or 'gmp', got 'max'"),
        ({'dropout_ratio': 1.0}, r'in \[0, 1\), got 1.0'),
        ({'num_classes': 0}, 'at least 1, got 0 and 4'),
        ({'embed_channels': 0}, 'embed_channels must be None or at least 1, got 0'),
    ],
)
def test_cam_head_bad_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        CAMHead(**{'num_classes': 2, 'in_channels': 4, **wrong})


def test_cam_head_initialization():
    torch.manual_seed(0)
    head = MODELS.build({'type': 'CAMHead', 'num_classes': 20, 'in_channels': 512})
    nn.init.zeros_(head.classifier.weight)
    head.init_weights()
    bound = (6 / (512 + 20)) ** 0.5
    assert 0.95 * bound < head.classifier.weight.abs().max() <= bound
    assert head.classifier.bias is None


def large_fov(**kwargs) -> LargeFOVHead:
    register_all_modules(init_default_scope=True)
    defaults = {
        'type': 'LargeFOVHead',
        'in_channels': 4,
        'channels': 6,
        'num_classes': 3,
        'loss_decode': {'type': 'CrossEntropyLoss', 'avg_non_ignore': True},
    }
    return MODELS.build({**defaults, **kwargs})


def dilated_conv(feat, conv, dilation):
    """Slow 3x3 convolution: a sum over nine shifted copies, zeros outside."""
    n, _, h, w = feat.shape
    out = conv.bias.detach().view(1, -1, 1, 1).repeat(n, 1, h, w)
    for ky in range(3):
        for kx in range(3):
            dy, dx = (ky - 1) * dilation, (kx - 1) * dilation
            for y in range(h):
                for x in range(w):
                    if 0 <= y + dy < h and 0 <= x + dx < w:
                        pixel = feat[:, :, y + dy, x + dx]
                        out[:, :, y, x] += pixel @ conv.weight[:, :, ky, kx].T.detach()
    return out


@pytest.mark.parametrize('dilation', [1, 2, 12])
def test_large_fov_against_loops(dilation):
    head = large_fov(dilation=dilation).double().eval()
    feat = torch.randn(1, 4, 5, 7, dtype=torch.float64)
    hidden = dilated_conv(feat, head.conv.conv, dilation).clamp(min=0)
    expected = dilated_conv(hidden, head.conv_seg, dilation)
    torch.testing.assert_close(head([feat]), expected)


def test_large_fov_of_the_paper():
    head = large_fov(in_channels=4096, channels=512, num_classes=21).to('meta')
    feats = (torch.empty(2, 4096, 41, 41, device='meta'),)
    assert head(feats).shape == (2, 21, 41, 41)
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == {
        'conv.conv.weight': (512, 4096, 3, 3),
        'conv.conv.bias': (512,),
        'conv_seg.weight': (21, 512, 3, 3),
        'conv_seg.bias': (21,),
    }
    assert head.conv.conv.dilation == head.conv_seg.dilation == (12, 12)
    assert head.dropout is None


def test_large_fov_initialization():
    torch.manual_seed(0)
    head = large_fov(in_channels=64, channels=32, num_classes=5)
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    head.init_weights()
    for conv, fan_in, fan_out in ((head.conv.conv, 64, 32), (head.conv_seg, 32, 5)):
        bound = (6 / (9 * (fan_in + fan_out))) ** 0.5
        assert 0.95 * bound < conv.weight.abs().max() <= bound
        assert 0 < conv.bias.abs().max() <= (9 * fan_in) ** -0.5
    before = head.conv_seg.weight.clone()
    head.init_weights()
    assert torch.equal(head.conv_seg.weight, before)


def test_large_fov_init_cfg_replaces_the_default():
    head = large_fov(init_cfg={'type': 'Constant', 'val': 0.5, 'layer': 'Conv2d'})
    head.init_weights()
    assert (head.conv_seg.weight == 0.5).all()


def test_large_fov_trains_as_an_mmseg_head():
    head = large_fov(dilation=2).train()
    gt = PixelData(data=torch.randint(0, 3, (1, 9, 11)))
    sample = SegDataSample(gt_sem_seg=gt)
    losses = head.loss([torch.randn(1, 4, 5, 6)], [sample], train_cfg=None)
    losses['loss_ce'].backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())


def test_large_fov_bf16_is_close():
    torch.manual_seed(0)
    head = large_fov(dilation=2).eval()
    feat = torch.rand(1, 4, 7, 5)
    with torch.autocast('cpu', torch.bfloat16):
        logits = head([feat])
    torch.testing.assert_close(logits.float(), head([feat]), atol=3e-2, rtol=3e-2)


def test_large_fov_bad_dilation():
    with pytest.raises(ValueError, match='at least 1, got 0'):
        large_fov(dilation=0)
