"""The losses of mmseg's heads against mmseg's own."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.losses import accuracy as mmseg_accuracy
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_wsss.models.decode_heads import auxiliary_losses, head_losses
from mmseg_wsss.models.decode_heads.head_losses import accuracy
from mmseg_wsss.registry import MODELS

HEAD = {
    'type': 'FCNHead',
    'in_channels': 4,
    'in_index': -1,
    'channels': 4,
    'num_convs': 1,
    'num_classes': 3,
    'concat_input': False,
    'dropout_ratio': 0.0,
    'align_corners': True,
}
SEVERAL = [
    {'type': 'CrossEntropyLoss', 'loss_name': 'loss_a', 'loss_weight': 0.3},
    {'type': 'CrossEntropyLoss', 'loss_name': 'loss_a', 'avg_non_ignore': True},
    {'type': 'DiceLoss', 'loss_name': 'loss_b'},
]
OHEM = {'type': 'OHEMPixelSampler', 'thresh': 0.7, 'min_kept': 3}


def samples_of(gt):
    return [SegDataSample(gt_sem_seg=PixelData(data=row[None])) for row in gt]


def random_gt(num=2, size=(9, 7)):
    gt = torch.randint(0, 3, (num, *size))
    return gt.masked_fill(torch.rand(gt.shape) < 0.3, 255)


@pytest.mark.parametrize('settings', [{}, {'loss_decode': SEVERAL}, {'sampler': OHEM}])
def test_equal_to_loss_by_feat(settings):
    torch.manual_seed(0)
    head = MODELS.build(HEAD | settings)
    output = head.forward([torch.rand(2, 4, 5, 4)])
    samples = samples_of(random_gt())
    found = head_losses(head, output, samples)
    expected = head.loss_by_feat(output, samples)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)


def test_a_head_with_losses_of_its_own_computes_them():
    head = MODELS.build(HEAD)
    own = type('Own', (type(head),), {'loss_by_feat': lambda *_: {'loss_own': 7}})
    head.__class__ = own
    assert head_losses(head, None, []) == {'loss_own': 7}


@pytest.mark.parametrize('several', [False, True])
def test_auxiliary_heads_as_in_mmseg(several):
    heads = [MODELS.build(HEAD) for _ in range(2)]
    net = MODELS.build(
        {
            'type': 'EncoderDecoder',
            'backbone': {'type': 'ResNetV1c', 'depth': 18, 'base_channels': 8},
            'decode_head': HEAD,
        }
    )
    net.auxiliary_head = nn.ModuleList(heads) if several else heads[0]
    feats, samples = [torch.rand(2, 4, 5, 4)], samples_of(random_gt())
    found = auxiliary_losses(net, feats, samples)
    expected = net._auxiliary_head_forward_train(feats, samples)
    assert found.keys() == expected.keys() and len(found) == 2 * (1 + several)
    assert all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize('ignored', ['some', 'all'])
def test_accuracy_as_in_mmseg(ignored):
    torch.manual_seed(0)
    gt = random_gt() if ignored == 'some' else torch.full((2, 9, 7), 255)
    logits = torch.randn(2, 3, 9, 7)
    expected = mmseg_accuracy(logits, gt, ignore_index=255)
    torch.testing.assert_close(accuracy(logits, gt), expected, rtol=0, atol=0)


def test_accuracy_without_the_pixels_of_a_class():
    """Right predictions of an ignored class do not count."""
    gt, logits = random_gt() % 3, torch.randn(2, 3, 9, 7)
    expected = mmseg_accuracy(logits, gt, ignore_index=1)
    found = accuracy(logits, gt, ignore_index=1)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
