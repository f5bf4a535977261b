"""IRNet: boundaries between pixels, its step and its walk."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from mmseg_wsss.models.losses import displacement_loss, pair_affinity_loss
from mmseg_wsss.models.segmentors.weak.parts.inference_context import InferenceContext
from mmseg_wsss.models.utils import boundary_affinity, half_disk, resize_labels
from mmseg_wsss.models.utils.pixel_pairs import line
from mmseg_wsss.registry import MODELS


def build(**settings):
    torch.manual_seed(0)
    cfg = tiny_model('IRNet', drop=False, **settings)
    cfg['backbone']['norm_eval'] = True
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    model.warmup = False
    return model.train()


def test_lines_by_hand():
    assert line((0, 2)) == [(0, 0), (0, 1), (0, 2)]
    assert line((2, -2)) == [(0, 0), (1, -1), (2, -2)]
    assert line((3, 1)) == [(0, 0), (1, 0), (2, 1), (3, 1)]


@pytest.mark.parametrize('size', [(4, 5), (1, 4), (2, 1)])
def test_affinities_are_those_of_a_loop(size):
    rng = torch.Generator().manual_seed(0)
    boundary = torch.rand(2, *size, generator=rng, dtype=torch.float64)
    boundary.requires_grad_()
    found = boundary_affinity(boundary, 4)
    height, width = size
    for p, (dy, dx) in enumerate(half_disk(4)):
        for y, x in itertools.product(range(height), range(width)):
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                assert (found[:, p, y, x] == 0).all()
                continue
            steps = max(abs(dy), abs(dx))
            cells = [
                boundary[
                    :,
                    y + int((dy * i / steps + 0.5) // 1),
                    x + int((dx * i / steps + 0.5) // 1),
                ]
                for i in range(steps + 1)
            ]
            expected = 1 - torch.stack(cells).amax(0)
            torch.testing.assert_close(found[:, p, y, x], expected)
    weight = torch.rand(found.shape, generator=rng, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda b: (boundary_affinity(b, 4) * weight).sum(), boundary
    )


def test_a_wall_separates():
    boundary = torch.zeros(1, 3, 5)
    boundary[:, :, 2] = 1.0
    affinity = boundary_affinity(boundary, 5)
    for p, (_, dx) in enumerate(half_disk(5)):
        crossing = affinity[0, p, 0, max(-dx, 0) :][: 5 - abs(dx)]
        starts = range(max(-dx, 0), max(-dx, 0) + len(crossing))
        if dx == 0 or half_disk(5)[p][0] > 2:
            continue
        for start, value in zip(starts, crossing):
            low, high = sorted((start, start + dx))
            assert value == (0.0 if low <= 2 <= high else 1.0)


def joined(feats, layers):
    """Maps through a convolution, GroupNorm and ReLU, at the size of the first."""
    first, second = (
        F.relu(F.group_norm(F.conv2d(feat, conv.weight), 2, norm.weight, norm.bias))
        for feat, (conv, norm, _) in zip(feats, layers)
    )
    second = F.interpolate(second, first.shape[2:], mode='bilinear')
    return torch.cat([first, second], 1)


def boundary_of(head, feats):
    logits = F.conv2d(
        joined(feats, head.boundary), head.join_boundary.weight, head.join_boundary.bias
    )
    return logits[:, 0].sigmoid()


def test_the_head_is_the_formula():
    head = build().affinity_head
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in head.parameters():  # norms and biases, too
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
    feats = [
        torch.randn(2, channels, *size, generator=rng)
        for channels, size in ((8, (9, 7)), (16, (5, 4)))
    ]
    boundary, field = head(feats)
    torch.testing.assert_close(boundary, boundary_of(head, feats))
    expected = F.conv2d(joined(feats, head.displacement), head.join_displacement.weight)
    torch.testing.assert_close(field, expected)


def test_a_step_on_labels_of_files():
    model = build(loss_cls={'type': 'MultiLabelSoftMarginLoss', 'loss_weight': 0.0})
    inputs, samples = tiny_batch(2)
    rng = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (2, 33, 33), generator=rng)
    for sample, label in zip(samples, labels):
        sample.pseudo_label = PixelData(data=label[None])
    losses = model.loss(inputs, samples)
    boundary, field = model.affinity_head(model.extract_feat(inputs))
    small = resize_labels(labels, boundary.shape[1:])
    expected = pair_affinity_loss(boundary_affinity(boundary, 3), small, 3)
    torch.testing.assert_close(losses['loss_affinity'], expected)
    expected = displacement_loss(field, small, 3)
    torch.testing.assert_close(losses['loss_displacement'], expected)
    assert losses['loss_affinity'] > 0 < losses['loss_displacement']


def test_a_walk_of_a_seed():
    model = build(bg_thr=0.4, walk={'radius': 3, 'steps': 4, 'beta': 2.0}).eval()
    inputs, samples = tiny_batch(1, tags=((1, 4),))
    seed = torch.zeros(NUM_TAGS + 1, 33, 33)
    seed[2, 4:20, 4:20] = 0.9
    seed[5, 15:30, 18:30] = 0.6
    seed[3] = 1.0  # of a class that the image does not have
    samples[0].cam_seed = PixelData(data=seed)
    ((label, prob),) = [
        row['affinity'] for row in model.pseudo_labels(inputs, samples, ['affinity'])
    ]
    boundary = boundary_of(model.affinity_head, model.extract_feat(inputs)).detach()
    small = F.interpolate(seed[None, [2, 5]], boundary.shape[1:], mode='bilinear')
    walked = model.walk(small * (1 - boundary), boundary_affinity(boundary, 3))
    walked = F.interpolate(walked, (33, 33), mode='bilinear')
    expected = torch.zeros(NUM_TAGS + 1, 33, 33)
    expected[0] = 0.4
    expected[[2, 5]] = walked[0] / walked.max()
    torch.testing.assert_close(prob, expected)
    assert torch.equal(label, expected.argmax(0))
    assert label.unique().tolist() == [0, 2, 5]


@pytest.mark.parametrize('crf_iters', [0, 1])
def test_a_seed_fills_its_side_of_a_boundary(monkeypatch, crf_iters):
    """A wall in the middle, a seed of one class on its left."""
    model = build(crf_iters=crf_iters, walk={'radius': 3, 'steps': 64}).eval()
    inputs, samples = tiny_batch(1)

    def head(feats):
        size = feats[0].shape[2:]
        boundary = torch.zeros(1, *size)
        boundary[:, :, size[1] // 2] = 1.0
        return boundary, torch.zeros(1, 2, *size)

    monkeypatch.setattr(model.affinity_head, 'forward', head)
    sample = samples[0]
    sample.gt_tags.label = torch.zeros_like(sample.gt_tags.label)
    sample.gt_tags.label[1] = 1.0
    height, width = inputs.shape[2:]
    sample.set_metainfo({'ori_shape': (height, width), 'img_shape': (height, width)})
    seed = torch.zeros(len(sample.gt_tags.label) + 1, height, width)
    seed[2, :, : width // 4] = 1.0
    sample.cam_seed = PixelData(data=seed)
    with torch.no_grad():
        label, _ = model.label_from_walk(InferenceContext(model, inputs, sample))
    # The CRF follows the noise of the image at single pixels.
    least = 1.0 if crf_iters == 0 else 0.9
    assert (label[..., : width // 2 - 6] == 2).float().mean() >= least
    assert (label[..., width // 2 + 6 :] == 0).float().mean() >= least


def test_lists_of_the_head_fit():
    cfg = {'type': 'InterPixelHead', 'in_channels': (8, 16), 'in_index': (0,)}
    with pytest.raises(ValueError, match='lists of one length'):
        MODELS.build(cfg)
