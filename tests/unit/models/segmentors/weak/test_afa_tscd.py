"""AFA and TSCD: the step against its equations, and every option."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS
from helpers.tiny import TAGS, tiny_batch, tiny_model
from mmcv.cnn.bricks import DropPath
from mmengine.config import ConfigDict
from torch import nn

from mmseg_wsss.engine.hooks import AffinityLabelHook
from mmseg_wsss.models.cam import reusable_feats
from mmseg_wsss.models.losses import (
    affinity_loss,
    balanced_cross_entropy,
    dense_energy_loss,
    self_correspondence_loss,
)
from mmseg_wsss.models.pseudo_labels import cam_to_label, merge_backgrounds
from mmseg_wsss.models.segmentors import CAMSeg
from mmseg_wsss.models.segmentors.weak import denormalize, stack_tags
from mmseg_wsss.models.utils import valid_maps
from mmseg_wsss.registry import MODELS


def build(name: str, **settings) -> CAMSeg:
    torch.manual_seed(0)
    cfg = tiny_model(name, drop=False, **settings)
    if 'norm_cfg' in cfg['backbone']:
        cfg['backbone']['norm_eval'] = True  # or a second step would differ
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    model.warmup = False
    if name == 'AFA':
        model.use_affinity = False
    return model.train()


def losses_of(model: CAMSeg, **batch) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return model.loss(*tiny_batch(**batch))


def resize(maps, size, corners=False):
    return F.interpolate(maps, size, mode='bilinear', align_corners=corners)


@torch.no_grad()
def slow_cam(model, inputs):
    """Section 5: one forward an image, scale and side."""
    size, weight = inputs.shape[2:], model.cam_head.classifier.weight
    total = 0.0
    for scale in (1, 0.5, 1.5):
        img = resize(inputs, [int(side * scale) for side in size])
        views = []
        for flip in (False, True):
            feat = model.extract_feat(img.flip(-1) if flip else img)[-1]
            cam = resize(F.conv2d(feat, weight), size)
            views.append(cam.flip(-1) if flip else cam)
        total = total + torch.maximum(*views).relu()
    low = total.amin((2, 3), keepdim=True)
    return (total - low) / ((total - low).amax((2, 3), keepdim=True) + 1e-5)


@torch.no_grad()
def slow_label(model, cam, tags, img, walk=None, widths=None):
    """Section 6, and 12 with a walk: one image and one threshold at a time.

    After a walk only the first ``widths[n]`` columns are refined, the rest is padding.
    """
    labels = []
    size = img.shape[2:]
    half = [side // 2 for side in size]
    for n in range(len(img)):
        classes = [k for k in range(NUM_TAGS) if tags[n, k]]
        pair = []
        for background in (model.labeler.high_thr, model.labeler.low_thr):
            scores = torch.cat([torch.full((1, *size), background), cam[n, classes]])
            if walk is None:
                prob = resize(scores[None], half).softmax(1)
            else:
                affinity, grid = walk
                prob = resize(scores[None], grid).softmax(1)
                rows, cols = torch.meshgrid(*map(torch.arange, grid), indexing='ij')
                rows, cols = rows.flatten(), cols.flatten()
                far = (rows[:, None] - rows).abs().maximum((cols[:, None] - cols).abs())
                step = (affinity[n] * (far <= 8)) ** 2
                step = step / (step.sum(0) + 0.1)
                prob = (prob.flatten(2) @ step).view_as(prob)
                prob = resize(prob, size)[..., : widths[n]]
            view = img[n : n + 1, :, :, : prob.shape[3] if walk else None] / 255
            guide = resize(view, [side // 2 for side in view.shape[2:]])
            maps = resize(model.labeler.refiner(guide, prob), view.shape[2:])
            maps = F.pad(maps, (0, size[1] - maps.shape[3]))
            pair.append(torch.tensor([0, *(k + 1 for k in classes)])[maps[0].argmax(0)])
        labels.append(merge_backgrounds(*pair))
    return torch.stack(labels)


@pytest.mark.parametrize(
    ('use_affinity', 'affinity_label'),
    [(False, 'cam'), (True, 'cam'), (False, 'walk'), (True, 'walk')],
)
def test_a_step_of_afa_is_the_formula(use_affinity, affinity_label):
    model = build('AFA', affinity_label=affinity_label)
    model.use_affinity = use_affinity
    inputs, samples = tiny_batch(3)
    samples[1].valid_map.data[:, :, 20:] = False
    losses = model.loss(inputs, samples)

    tags, img = stack_tags(samples), denormalize(inputs, model.data_preprocessor)
    valid = valid_maps(samples, inputs)
    feats = model.extract_feat(inputs)
    logits = resize(model.decode_head(feats), (33, 33))
    cam = slow_cam(model, inputs)
    label = slow_label(model, cam, tags, img).masked_fill(~valid, 255)
    assert {0, 255} < set(label.unique().tolist())
    pairs = label
    if use_affinity:
        with torch.no_grad():
            big = model.extract_feat(resize(inputs, (49, 49)))
            walk = model.affinity_head(big), big[-1].shape[2:]
        walked = slow_label(model, cam, tags, img, walk, (33, 20, 33))
        walked = walked.masked_fill(~valid, 255)
        assert not torch.equal(walked, label)
        label = walked
        pairs = walked if affinity_label == 'walk' else pairs
    grid = feats[-1].shape[2:]
    small = F.interpolate(pairs[:, None].float(), grid, mode='nearest')[:, 0].long()
    torch.testing.assert_close(
        losses['loss_affinity'], 0.1 * affinity_loss(model.affinity_head(feats), small)
    )
    torch.testing.assert_close(
        losses['loss_ce'], 0.1 * balanced_cross_entropy(logits, label)
    )
    torch.testing.assert_close(
        losses['loss_dense'],
        dense_energy_loss(logits.softmax(1), img, valid, label, weight=1e-4),
    )
    assert losses['use_affinity'] == use_affinity


@pytest.mark.parametrize('released', [False, True])
def test_a_step_of_tscd_is_the_formula(released):
    head = tiny_model('TSCD')['decode_head'] | {'align_corners': not released}
    corners = {'train_align_corners': True} if released else {}
    model = build('TSCD', decode_head=head, er_mode='off', **corners)
    inputs, samples = tiny_batch(2)
    losses = losses_of(model)
    feats = model.extract_feat(inputs)
    cam, tags = slow_cam(model, inputs), stack_tags(samples)
    label = slow_label(model, cam, tags, denormalize(inputs, model.data_preprocessor))
    logits = resize(model.decode_head(feats), (33, 33), True)
    torch.testing.assert_close(
        losses['loss_ce'], 0.1 * balanced_cross_entropy(logits, label)
    )
    view = resize(inputs, (9, 9), True)  # int(0.3 * 33)
    view_logits = resize(model.decode_head(model.extract_feat(view)), (9, 9), True)
    torch.manual_seed(1)
    points = [2 * torch.rand(2, 30, 2) - 1 for _ in range(2)]
    expected = self_correspondence_loss(
        cam, logits, slow_cam(model, view), view_logits, *points
    )
    torch.testing.assert_close(losses['loss_scd'], 0.1 * expected)
    assert 'loss_er' not in losses
    # Predictions are resized as the decode head does, whatever the losses do.
    predicted = model.eval().encode_decode(inputs, [s.metainfo for s in samples])
    coarse = model.decode_head(model.extract_feat(inputs))
    torch.testing.assert_close(predicted, resize(coarse, (33, 33), not released))


def test_the_methods_differ_as_the_papers_do():
    afa, tscd = build('AFA'), build('TSCD')
    assert (afa.labeler.refiner.kind, tscd.labeler.refiner.kind) == ('par', 'varm')
    assert (afa.affinity_head.symmetric, tscd.affinity_head.symmetric) == (True, False)
    defaults = (
        tscd.labeler.high_thr,
        tscd.labeler.low_thr,
        tscd.view_scale,
        tscd.labeler.radius,
    )
    assert defaults == (0.55, 0.35, 0.3, 8)
    assert tscd.loss_scd.loss_weight == afa.loss_affinity.loss_weight == 0.1


def test_camseg_trains_on_the_cut_cam():
    model = build('CAMSeg', high_thr=0.5, low_thr=0.2)
    inputs, samples = tiny_batch(3)
    cam, tags = slow_cam(model, inputs), stack_tags(samples)
    label = cam_to_label(cam, tags, high_thr=0.5, low_thr=0.2)
    logits = resize(model.decode_head(model.extract_feat(inputs)), (33, 33))
    torch.testing.assert_close(
        model.loss(inputs, samples)['loss_ce'],
        0.1 * balanced_cross_entropy(logits, label),
    )


@pytest.mark.parametrize('name', ['CAMSeg', 'AFA', 'TSCD'])
def test_an_image_without_tags_is_background(name):
    model = build(name)
    losses = losses_of(model, num=2, tags=((), ()))
    assert losses['ratio_labeled'] == 1
    assert losses['ratio_foreground'] == 0


@pytest.mark.parametrize('name', ['AFA', 'TSCD'])
def test_warmup_trains_the_classifier_alone(name, monkeypatch):
    model = build(name)
    model.warmup = True

    def refuse(*args, **kwargs):
        raise AssertionError('a heavy term in the warm-up')

    for part in ('train_cam', 'labeler'):
        monkeypatch.setattr(model, part, refuse)
    for head in (model.decode_head, model.affinity_head):
        monkeypatch.setattr(head, 'forward', refuse)
    losses = losses_of(model)
    assert set(losses) == {'loss_cls', 'loss_idle'}
    assert losses['loss_idle'] == 0


def test_correspondence_trains_the_decoder_through_both_views_and_no_classifier():
    model = build('TSCD', er_mode='off')
    losses_of(model)['loss_scd'].backward()
    assert model.decode_head.conv_seg.weight.grad.abs().sum() > 0
    assert model.cam_head.classifier.weight.grad is None
    assert model.affinity_head.fuse.weight.grad is None


class TestOptions:
    def test_equivariance_trains_the_classifier(self):
        model = build('TSCD', loss_scd=None, er_weight=0.5)
        losses = losses_of(model)
        assert 'loss_scd' not in losses
        losses['loss_er'].backward()
        assert model.cam_head.classifier.weight.grad.abs().sum() > 0
        half = losses_of(build('TSCD', loss_scd=None, er_weight=0.25))
        torch.testing.assert_close(half['loss_er'], losses['loss_er'] / 2)

    def test_no_second_view_without_its_terms(self, monkeypatch):
        model = build('TSCD', loss_scd=None, er_mode='off')
        monkeypatch.setattr(model, 'random_points', None)
        calls = []
        extract = model.extract_feat
        monkeypatch.setattr(
            model, 'extract_feat', lambda x: calls.append(x.shape) or extract(x)
        )
        assert not {'loss_scd', 'loss_er'} & set(losses_of(model))
        assert all(min(shape[2:]) >= 16 for shape in calls)

    def test_masking_by_label(self):
        plain, masked = (
            losses_of(build('TSCD', mask_by_label=m)) for m in (False, True)
        )
        changed = {k for k in plain if not torch.equal(plain[k], masked[k])}
        assert changed == {'loss_scd'}

    def test_points_inside_the_image(self):
        model = build('TSCD', valid_only=True, n_points=500)
        valid = torch.zeros(3, 11, 21, dtype=torch.bool)
        valid[0, 2:6, 5:11] = True
        valid[1] = True
        points = model.random_points(valid)
        assert points.shape == (3, 500, 2)
        inside = points[0] - torch.tensor([0.0, -0.3])
        assert inside[:, 0].min() >= -0.5 - 1e-6  # column 5 of 0..20
        assert inside[:, 0].max() <= 1e-6  # column 10
        assert points[0, :, 1].min() >= -0.6 - 1e-6  # row 2 of 0..10
        assert points[0, :, 1].max() <= 1e-6  # row 5
        assert points[1:].abs().max() > 0.98  # everything, also without an image
        loose = build('TSCD', n_points=500).random_points(valid)
        assert loose[0].abs().max() > 0.98

    def test_affinity_follows_the_backbone(self):
        mit = {
            'type': 'AttentionMiT',
            'embed_dims': 8,
            'num_stages': 2,
            'num_layers': [1, 2],
            'num_heads': [1, 2],
            'patch_sizes': [7, 3],
            'strides': [4, 2],
            'sr_ratios': [2, 1],
            'out_indices': (0, 1),
        }
        index = {'in_index': 1}
        model = build(
            'TSCD',
            backbone=mit,
            affinity_head={},
            cam_head=tiny_model('TSCD')['cam_head'] | index,
            decode_head=tiny_model('TSCD')['decode_head'] | index,
        )
        assert model.affinity_head.fuse.in_channels == 2 * 2
        losses = losses_of(model)
        total, _ = model.parse_losses(losses)
        total.backward()
        assert all(p.grad is not None for p in model.parameters())

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match=r"er_mode.*'both'"):
            build('TSCD', er_mode='both')
        with pytest.raises(ValueError, match=r"affinity_label.*'prediction'"):
            build('AFA', affinity_label='prediction')
        with pytest.raises(ValueError, match=r'low_thr must .*=0.3, got 0.4'):
            build('AFA', high_thr=0.3, low_thr=0.4)
        head = tiny_model('AFA')['decode_head'] | {'num_classes': NUM_TAGS}
        with pytest.raises(ValueError, match='needs a background class: 7 classes'):
            build('AFA', decode_head=head)


def test_pseudo_labels_of_an_image():
    model = build('AFA').eval()
    sources = ('cam_refined', 'merged', 'affinity')
    inputs, samples = tiny_batch(1, tags=[TAGS[1]])
    with torch.no_grad():
        (result,) = model.pseudo_labels(inputs, samples, sources)
    assert set(result['cam_refined'][0].unique().tolist()) <= {0, 2, 5}
    assert set(result['affinity'][0].unique().tolist()) <= {0, 2, 5}
    dense = result['cam_refined'][0]
    merged = result['merged'][0]
    assert set(merged.unique().tolist()) <= {0, 2, 5, 255}
    assert (dense[merged == 0] == 0).all()


@pytest.mark.parametrize('name', ['CAMSeg', 'AFA', 'TSCD'])
@pytest.mark.parametrize('noise', [DropPath(0.5), nn.Dropout(0.5)])
def test_cams_are_those_of_inference(name, noise, monkeypatch):
    """Whatever training does to the features (PairedCAM without train_mode)."""
    model = build(name)
    assert set(reusable_feats(model, [torch.zeros(1)])) == {1.0}
    model.backbone.noise = noise
    extract = model.extract_feat
    monkeypatch.setattr(model, 'extract_feat', lambda img: extract(noise(img)))
    seen = []
    train_cams = model.normalized_train_cam

    def spy(inputs, known):
        seen.append(train_cams(inputs, known))
        return seen[-1]

    monkeypatch.setattr(model, 'normalized_train_cam', spy)
    inputs, samples = tiny_batch(2)
    model.train().loss(inputs, samples)
    model.eval()
    torch.testing.assert_close(seen[0], train_cams(inputs, {}), rtol=0, atol=0)


@pytest.mark.parametrize('name', ['AFA', 'TSCD'])
def test_affinity_head_has_defaults_for_any_backbone(name):
    model = build(name, affinity_head={})
    assert torch.isfinite(losses_of(model)['loss_affinity'])


def test_hook_switches_the_affinity_on():
    model, hook = build('AFA'), AffinityLabelHook(begin=3)
    seen = []
    for iteration in (0, 2, 3, 4, 1):
        hook.before_train_iter(SimpleNamespace(model=model, iter=iteration), 0)
        seen.append(model.use_affinity)
    assert seen == [False, False, True, True, False]
    with pytest.raises(ValueError, match=r'begin .* got -1'):
        AffinityLabelHook(begin=-1)
