"""Fusion of pseudo-labels with the CAM of the classifier."""

import math
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import NUM_TAGS, SEMI
from helpers.mixed import sure
from helpers.tiny import batch_of, tiny_network
from mmengine.structures import LabelData

from mmseg_wsss.models.segmentors.semi.parts.cam_fusion import CAMEvidence, cam_evidence
from mmseg_wsss.models.segmentors.semi.parts.tag_constraint import ABSENT, TagConstraint

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}
UNLABELED_METHODS = [name for name in SEMI if name != 'SupervisedSegmentor']
THRESHOLD = ('FixMatch', 'UniMatch', 'UniMatchV2', 'MeanTeacherSegmentor')


def training(name, cam_fusion=None, **settings):
    settings = {'tag_filter': {}, **settings, 'cam_fusion': cam_fusion}
    if name in THRESHOLD:
        settings['pseudo_thr'] = 0.0
    model = tiny_network(name, drop=False, cam_head=CLASSIFIER, semi_train_cfg=settings)
    model.progress = 0.5
    return model


def tag(samples, tags):
    """Give the unlabeled images tags."""
    samples = deepcopy(samples)
    for name, views in samples.items():
        for view, of_image in zip(views, tags):
            if name != 'sup' and of_image is not None:
                label = torch.zeros(NUM_TAGS)
                label[of_image] = 1
                view.gt_tags = LabelData(label=label)
    return samples


@pytest.mark.parametrize(
    'settings', [{}, {'weight': 2.0, 'bg_alpha': 3.0, 'floor': 0.3, 'temperature': 0.5}]
)
def test_against_the_formula(settings):
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2, 4], None])['unsup_weak']
    model = sure(training('FixMatch', settings), 0.5)
    cfg = model.train_cfg.cam_fusion
    student = model.networks['student']
    student.eval(), model.cam_head.eval()
    with torch.no_grad():
        feats = student.extract_feat(inputs['unsup_weak'])
        cam = torch.einsum(
            'kd,ndhw->nkhw', model.cam_head.classifier.weight[..., 0, 0], feats[-1]
        ).relu()
        prob = model.cam_head(feats).sigmoid()[0].tolist()
    model.train()
    logits = torch.randn(2, NUM_TAGS + 1, *cam.shape[2:])
    found = TagConstraint.of(model, samples, inputs['unsup_weak']).filter(logits)
    assert torch.equal(found[1], logits[1])
    assert any(0.6 < prob[k] < 0.999 for k in (2, 4))  # not saturated
    recognized = {k: max(2 * prob[k] - 1, 0) for k in (2, 4)}
    tops = {k: cam[0, k].max().item() + 1e-5 for k in (2, 4)}
    largest = max(recognized.values())
    for row, col in ((0, 0), (3, 2), (4, 1)):
        scores = {k: cam[0, k, row, col].item() / tops[k] for k in (2, 4)}
        relative = [scores[k] * recognized[k] / largest for k in (2, 4)]
        parts = {0: ((1 - max(relative)) ** cfg.bg_alpha, largest)}
        parts |= {k + 1: (scores[k], recognized[k]) for k in (2, 4)}
        for channel, (score, ratio) in parts.items():
            value = logits[0, channel, row, col].item()
            value += cfg.weight * ratio * math.log(max(score, cfg.floor))
            expected = value / cfg.temperature
            assert found[0, channel, row, col].item() == pytest.approx(expected, 1e-4)
        absent = [k + 1 for k in range(NUM_TAGS) if k not in (2, 4)]
        assert (found[0, absent, row, col] < -1e3).all()


def test_a_classifier_that_has_not_learned_has_no_effect():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2], [1]])['unsup_weak']
    model = training('FixMatch', {'weight': 5.0})
    model.cam_head.classifier.weight.data.zero_()
    logits = torch.randn(2, NUM_TAGS + 1, 9, 9)
    fused = TagConstraint.of(model, samples, inputs['unsup_weak'])
    plain = TagConstraint.of(training('FixMatch'), samples, inputs['unsup_weak'])
    assert plain.evidence is None
    assert torch.equal(fused.filter(logits), plain.filter(logits))


def test_a_class_that_is_not_recognized_has_no_effect_on_the_others():
    inputs, samples = batch_of('FixMatch')
    model = sure(training('FixMatch', {}), 0.5)
    alone, both = (
        cam_evidence(model, inputs['unsup_weak'], tag(samples, tags)['unsup_weak'])
        for tags in ([[2], [2]], [[2, 4], [2, 4]])
    )
    assert (alone.score[:, 3] < 0).any()
    assert not torch.equal(alone.score, both.score)
    model.cam_head.classifier.weight.data[4] = 0.0  # a probability of 0.5
    unknown = cam_evidence(
        model, inputs['unsup_weak'], tag(samples, [[2, 4], [2, 4]])['unsup_weak']
    )
    assert torch.equal(alone.score, unknown.score)


def test_padding_has_no_evidence():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2], [2]])['unsup_weak']
    model = sure(training('FixMatch', {}), 0.5)
    for view in samples:
        view.valid_map.data[..., : view.valid_map.shape[1] // 2] = False
    score = cam_evidence(model, inputs['unsup_weak'], samples).score
    width = score.shape[3] // 2
    assert (score[:, 0, :, :width] == 0).all()
    best = score[:, 3, :, width:].flatten(1).amax(1)
    torch.testing.assert_close(best, torch.zeros(2), atol=1e-4, rtol=0)


def test_temperature_raises_confidences_and_keeps_labels():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2], [1]])['unsup_weak']
    logits = torch.randn(2, NUM_TAGS + 1, 9, 9)
    (conf, label), (sharper, same) = (
        TagConstraint.of(
            sure(training('FixMatch', {'temperature': temperature})),
            samples,
            inputs['unsup_weak'],
        )
        .filter(logits)
        .softmax(1)
        .max(1)
        for temperature in (1.0, 0.5)
    )
    assert torch.equal(label, same)
    assert (sharper >= conf).all()
    assert (sharper > conf + 0.01).any()


@pytest.mark.parametrize('margin', [0.1, 1.0, 3.0])
@pytest.mark.parametrize(('weight', 'bg_alpha'), [(1.0, 1.0), (2.0, 4.0), (5.0, 0.5)])
def test_an_indifferent_network_has_no_untagged_label(margin, weight, bg_alpha):
    """One image has two tags, one has one; at the size of the CAM and at another."""
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2, 4], [2]])['unsup_weak']
    cfg = {'weight': weight, 'bg_alpha': bg_alpha}
    model = sure(training('FixMatch', cfg, tag_filter={'margin': margin}))
    tags = TagConstraint.of(model, samples, inputs['unsup_weak'])
    for size in (tags.evidence.score.shape[2:], (33, 33)):
        logits = tags.filter(torch.zeros(2, NUM_TAGS + 1, *size))
        label = logits.argmax(1)
        assert set(label[0].unique().tolist()) <= {0, 3, 5}
        assert set(label[1].unique().tolist()) == {0, 3}
        gap = logits[1, [0, 3]].amax(0) - logits[1, 1]
        torch.testing.assert_close(gap, torch.full(size, margin), rtol=0, atol=1e-5)


def test_labels_under_a_margin_do_not_depend_on_the_temperature():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2, 4], [1]])['unsup_weak']
    logits = 2 * torch.randn(2, NUM_TAGS + 1, 33, 33)
    labels = []
    for temperature in (1.0, 0.5, 0.1):
        cfg = {'temperature': temperature}
        model = sure(training('FixMatch', cfg, tag_filter={'margin': 2.0}))
        tags = TagConstraint.of(model, samples, inputs['unsup_weak'])
        labels.append(tags.filter(logits).argmax(1))
    assert set(labels[0].unique().tolist()) == set(range(NUM_TAGS + 1))
    assert torch.equal(labels[0], labels[1])
    assert torch.equal(labels[0], labels[2])


def test_a_hard_filter_does_not_depend_on_the_temperature():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2, 4], None])['unsup_weak']
    model = sure(training('FixMatch', {'temperature': 1e4}))
    tags = TagConstraint.of(model, samples, inputs['unsup_weak'])
    found = tags.filter(torch.randn(2, NUM_TAGS + 1, 9, 9))
    assert (found[0, [1, 2, 4, 6]] == ABSENT).all()
    assert (found[1] > ABSENT / 2).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_margin_and_temperature_pixel_by_pixel(dtype):
    """Against the formula, given the evidence; the last image has no tags."""
    inputs, samples = batch_of('FixMatch', num=3)
    samples = tag(samples, [[2, 4], [1], None])['unsup_weak']
    cfg = {'weight': 2.0, 'bg_alpha': 3.0, 'temperature': 0.25}
    model = sure(training('FixMatch', cfg, tag_filter={'margin': 1.5}))
    tags = TagConstraint.of(model, samples, inputs['unsup_weak'])
    size = (11, 12)
    logits = torch.randn(3, NUM_TAGS + 1, *size).to(dtype)
    score = F.interpolate(tags.evidence.score, size, mode='bilinear')
    found = tags.filter(logits)
    assert found.dtype == torch.float32
    assert torch.equal(found[2], logits[2].float())
    for i, present in enumerate([{0, 3, 5}, {0, 2}]):
        assert score[i].any()
        for row in range(size[0]):
            for col in range(size[1]):
                at = (slice(None), row, col)
                z, s = logits[i][at].tolist(), score[i][at].tolist()
                best = max(s[c] for c in present)
                expected = [
                    (z[c] + s[c] if c in present else z[c] - 1.5 + best) / 0.25
                    for c in range(NUM_TAGS + 1)
                ]
                torch.testing.assert_close(found[i][at], torch.tensor(expected))


def test_mixed_pixels_have_the_evidence_of_their_own_image():
    rng = torch.Generator().manual_seed(0)
    score = torch.randn(3, 4, 1, 1, generator=rng)
    sharpness = torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1, 1)
    mask = torch.ones(3, 1, 2, 2)
    mask[:, :, 0, 1] = 0
    mixed = CAMEvidence(score, sharpness).mixed(mask, (2, 2))
    logits = torch.randn(3, 4, 2, 2, generator=rng)
    found = mixed.fuse(logits)
    for i in range(3):
        for row in range(2):
            for col in range(2):
                image = (i + 1) % 3 if (row, col) == (0, 1) else i
                expected = (logits[i, :, row, col] + score[image, :, 0, 0]) * (
                    sharpness[image].item()
                )
                torch.testing.assert_close(found[i, :, row, col], expected)
    later = mixed.after(2)
    logits = torch.randn(5, 4, 2, 2, generator=rng)
    assert torch.equal(later.fuse(logits)[:2], logits[:2])
    assert torch.equal(later.fuse(logits)[2:], mixed.fuse(logits[2:]))


@pytest.mark.parametrize('name', UNLABELED_METHODS)
def test_it_reaches_the_pseudo_labels_of_every_method(name):
    """With CutMix, which mixes the evidence, too; no image, no statistic is changed."""
    inputs, samples = batch_of(name)
    samples = tag(samples, [[2], None])
    state, losses = {}, {}
    for kind, settings in {'plain': None, 'fused': {'weight': 9.0}}.items():
        model = sure(training(name, settings, cutmix={}))
        before = deepcopy(model.state_dict())
        torch.manual_seed(1)
        losses[kind] = model.loss(inputs, samples)
        state[kind] = {
            key: value
            for key, value in model.state_dict().items()
            if not torch.equal(value, before[key]) and not key.startswith('isda')
        }
    unlabeled = {'loss_unsup', 'loss_fp', 'loss_cps', 'loss_st', 'loss_ss'}
    for key, value in losses['plain'].items():
        if key in unlabeled:
            assert not torch.isclose(losses['fused'][key], value), key
            assert torch.isfinite(losses['fused'][key])
        elif 'loss' in key:
            assert torch.equal(losses['fused'][key], value), key
    assert state['plain'].keys() == state['fused'].keys()  # running statistics
    for key, value in state['plain'].items():
        assert torch.equal(value, state['fused'][key]), key


def test_without_background():
    inputs, samples = batch_of('FixMatch')
    samples = tag(samples, [[2], [1]])['unsup_weak']
    model = sure(training('FixMatch', {}))
    model.num_classes = NUM_TAGS
    assert cam_evidence(model, inputs['unsup_weak'], samples).score.shape[1] == NUM_TAGS


def test_what_it_needs():
    with pytest.raises(ValueError, match='cam_fusion needs tag_filter'):
        training('FixMatch', {}, tag_filter=None)
    with pytest.raises(ValueError, match=r'cam_fusion needs model\.cam_head'):
        tiny_network('FixMatch', semi_train_cfg={'tag_filter': {}, 'cam_fusion': {}})
    with pytest.raises(ValueError, match=r'no unlabeled images: remove .*cam_fusion'):
        training('SupervisedSegmentor', {})
    with pytest.raises(ValueError, match='floor'):
        training('FixMatch', {'floor': 0.0})
