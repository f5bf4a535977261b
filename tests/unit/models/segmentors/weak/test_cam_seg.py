"""CAM + segmentation with masks of some images as the only labels of pixels."""

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import FCN_HEAD
from helpers.tiny import CROP, set_phase, tiny_batch, tiny_network
from mmengine.structures import PixelData

from mmseg_wsss.models.pseudo_labels import fuse_cam, hard_label
from mmseg_wsss.models.segmentors.weak import InferenceContext


def masks_only(**settings) -> torch.nn.Module:
    model = tiny_network(
        'CAMSeg',
        drop=False,
        masks_only=True,
        loss_seg=dict(type='ValidCrossEntropyLoss', loss_weight=2.0),
        auxiliary_head=FCN_HEAD | {'dropout_ratio': 0.0},
        **settings,
    )
    set_phase(model, {'warmup': False})
    model.train_cam = None  # not needed
    return model


def test_the_decode_head_learns_from_masks_alone():
    model = masks_only(dense_energy=None)
    inputs, samples = tiny_batch(2)
    mask = torch.randint(7, CROP, generator=torch.Generator().manual_seed(0))
    samples[1].gt_sem_seg = PixelData(data=mask[None])
    losses = model.loss(inputs, samples)
    logits = model.upsample(model.decode_head(model.extract_feat(inputs)), inputs)
    expected = 2 * F.cross_entropy(logits[1:], mask[None])
    torch.testing.assert_close(losses['loss_ce'], expected)
    assert losses['ratio_labeled'] == 0.5
    alone = {k: v for k, v in losses.items() if k != 'loss_cls'}
    total, _ = model.parse_losses(alone)
    (of_classifier,) = torch.autograd.grad(
        total, model.cam_head.parameters(), allow_unused=True
    )
    assert of_classifier is None


@pytest.mark.parametrize('energy', [None, {'weight': 1e-4}])
def test_a_batch_without_a_mask(energy):
    model = masks_only(dense_energy=energy)
    total, values = model.parse_losses(model.loss(*tiny_batch(2)))
    total.backward()
    assert values['loss_ce'] == values['aux.loss_ce'] == 0
    assert all(torch.isfinite(value).all() for value in values.values())
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert torch.isfinite(parameter.grad).all(), name


def test_the_fused_label_has_the_constants_of_the_settings():
    constants = {'bg_alpha': 3.0, 'weight': 0.5, 'floor': 0.3}
    plain = tiny_network('CAMSeg').eval()
    test_cfg = {'cam': {'scales': (0.5, 1.0)}, 'fused_cam': constants}
    model = tiny_network('CAMSeg', test_cfg=test_cfg).eval()
    inputs, samples = tiny_batch(2)
    results = model.pseudo_labels(inputs, samples, ['fused_cam'])
    with torch.no_grad():
        for i, sample in enumerate(samples):
            context = InferenceContext(model, inputs[i : i + 1], sample)
            maps = (context.prob, context.cam, context.tags)
            expected = fuse_cam(*maps, **constants)
            label, prob = results[i]['fused_cam']
            torch.testing.assert_close(prob, expected[0])
            assert torch.equal(label, hard_label(expected, context.tags)[0])
            assert not torch.equal(prob, fuse_cam(*maps)[0])
    assert vars(plain.test_settings.fused_cam)['floor'] == 0.1
    with pytest.raises(ValueError, match=r'test_cfg\.fused_cam\.floor must be above 0'):
        tiny_network('CAMSeg', test_cfg={'fused_cam': {'floor': 0.0}})
