"""MKD against a slow and literal implementation of its equations."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import BACKBONE, FCN_HEAD, HEAD, NUM_TAGS
from helpers.tiny import CROP, batch_of, tiny_network

from mmseg_wsss.models.segmentors.semi import mkd
from mmseg_wsss.models.segmentors.semi.parts.isda_offset import NETWORKS, ramp
from mmseg_wsss.models.segmentors.semi.parts.seg_output import SegOutput
from mmseg_wsss.models.segmentors.semi.parts.tag_constraint import TagConstraint
from mmseg_wsss.models.utils import mix

FROZEN = BACKBONE | {'norm_eval': True}
RATIO = 1.5 * 0.5  # in the middle of the training
OTHER = {'student1': 'student2', 'student2': 'student1'}


def network(seed: int = 0, **settings):
    """MKD in float64, of four different networks, deterministic in a forward."""
    cfg = {'cutmix': None, **settings}
    model = tiny_network(
        'MKD', seed, drop=False, backbone=FROZEN, semi_train_cfg=cfg
    ).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for net in model.networks.values():
            for parameter in net.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.1 * noise)
            net.decode_head.conv_seg.weight.mul_(4)
    model.progress = 0.5
    return model


def batch(num: int = 2, num_unlabeled: int | None = None, **options):
    inputs, samples = batch_of('MKD', num=num, **options)
    inputs = {name: img.double() for name, img in inputs.items()}
    if num_unlabeled is not None:
        for name in inputs:
            if name != 'sup':
                inputs[name] = inputs[name][:num_unlabeled]
                samples[name] = samples[name][:num_unlabeled]
    for name, of_branch in samples.items():
        if name != 'sup':
            for sample in of_branch:
                sample.valid_map.data[:, :5] = False
    return inputs, samples


def logits_and_feat(model, name, img):
    """Logits, and the input of the classifier, by the layers of the head."""
    net = model.networks[name]
    head = net.decode_head
    feat = head.convs(head._transform_inputs(net.extract_feat(img)))
    return head.conv_seg(feat), feat


def halved(maps, factor=0.5):
    size = [max(int(side * factor), 1) for side in maps.shape[2:]]
    return F.interpolate(maps, size, mode='bilinear', align_corners=False)


def offsets(model, name, parts, labels, ratio=RATIO):
    """Offsets of ISDA, pixel by pixel, with statistics of all pixels so far."""
    weight = model.networks[name].decode_head.conv_seg.weight[:, :, 0, 0]
    pixels = [[] for _ in weight]
    results = []
    for feat, label in zip(parts, labels):
        for pixel, c in zip(feat.permute(0, 2, 3, 1).flatten(0, 2), label.flatten()):
            if c != 255:
                pixels[c].append(pixel)
        result = torch.zeros(*label.shape, len(weight), dtype=feat.dtype)
        for place in label.ne(255).nonzero().tolist():
            c = int(label[tuple(place)])
            variance = torch.stack(pixels[c]).var(0, unbiased=False)
            gap = (weight - weight[c]).square()
            result[tuple(place)] = 0.5 * ratio * (gap * variance).sum(1)
        results.append(result.permute(0, 3, 1, 2).detach())
    return results


def reference(
    model, inputs, samples, mask, ratio=RATIO, with_offset=True, thr=0.0, confident=True
):
    """L_st and L_ss for masks (N, 1, H, W)."""
    mixed = mix(inputs['unsup_strong'], mask)
    valid = torch.stack([s.valid_map.data[0] for s in samples['unsup_weak']])
    gt = torch.cat([s.gt_sem_seg.data for s in samples['sup']])
    logits, targets = {}, {}
    for name in model.networks:
        teacher = name.startswith('teacher')
        sup = logits_and_feat(model, name, inputs['sup'])
        unsup = logits_and_feat(model, name, inputs['unsup_weak'] if teacher else mixed)
        if teacher:
            unsup = [mix(maps, mask) for maps in unsup]
        maps = [halved(sup[0]), halved(unsup[0])]
        size = maps[0].shape[2:]
        inside = F.interpolate(mix(valid, mask)[:, None].double(), size)[:, 0] > 0.5
        small_gt = F.interpolate(gt[:, None].double(), size)[:, 0].long()
        own = maps[1].argmax(1).masked_fill(~inside, 255)
        added = offsets(
            model, name, [halved(sup[1]), halved(unsup[1])], [small_gt, own], ratio
        )
        raw = torch.cat(maps)
        logits[name] = raw + torch.cat(added)
        label = (logits[name] if with_offset else raw).argmax(1)
        counted = torch.cat([small_gt != 255, inside])
        label[~counted] = 255
        if teacher:
            label[raw.softmax(1).amax(1) < thr] = 255
        targets[name] = label

    def mean(values, label):
        return values.sum() / (label != 255 if confident else counted).sum()

    cross = [
        sum(
            mean(
                F.cross_entropy(logits[s], label, ignore_index=255, reduction='none'),
                label,
            )
            for s, other in OTHER.items()
            for label in [targets[f'{kind}{other[-1]}']]
        )
        for kind in ('teacher', 'student')
    ]
    return 1.5 * cross[0], cross[1]


def assert_matches(model, data, mask=None, **options):
    inputs, samples = data
    if mask is None:
        mask = torch.ones_like(inputs['unsup_strong'][:, :1])
    losses = model.loss(inputs, samples)
    expected = reference(model, inputs, samples, mask, **options)
    torch.testing.assert_close(losses['loss_st'], expected[0])
    torch.testing.assert_close(losses['loss_ss'], expected[1])
    return losses


@pytest.mark.parametrize('counts', [(2, None), (1, None), (3, 2), (2, 1)])
def test_losses_equal_the_equations(counts):
    losses = assert_matches(network(), batch(*counts))
    assert losses['loss_st'] > 0
    assert losses['ratio_confident'] == 1
    assert 1 <= losses['num_effective_classes'] <= 5


@pytest.mark.parametrize('num', [1, 2, 3])
def test_everything_is_mixed_by_the_same_masks(num, monkeypatch):
    model = network(cutmix={})
    mask = torch.rand(num, 1, *CROP) > 0.4
    monkeypatch.setattr(mkd, 'draw_masks', lambda img, cutmix: mask.to(img))
    assert_matches(model, batch(num), mask.double())


def test_labels_without_offset():
    data = batch()
    assert_matches(network(labels_from='raw'), data, with_offset=False)


def test_offsets_change_labels():
    """Otherwise the tests above would not tell both kinds of labels apart."""
    losses = [
        network(labels_from=kind).loss(*batch())['loss_st']
        for kind in ('raw', 'offset')
    ]
    assert losses[0] != losses[1]


def test_threshold_of_teachers_applies_to_raw_confidence():
    model = network(pseudo_thr_teacher=0.6)
    losses = assert_matches(model, batch(), thr=0.6)
    assert 0 < losses['ratio_confident'] < 1


def test_means_over_all_valid_pixels():
    model = network(pseudo_thr_teacher=0.6, mean_over='valid')
    losses = assert_matches(model, batch(), thr=0.6, confident=False)
    confident = network(pseudo_thr_teacher=0.6).loss(*batch())
    assert losses['loss_st'] < confident['loss_st']
    torch.testing.assert_close(losses['loss_ss'], confident['loss_ss'])


@pytest.mark.parametrize('name', ['student1', 'teacher2'])
@pytest.mark.parametrize(('thr', 'kept'), [(0.5, True), (0.50001, False)])
def test_a_confidence_equal_to_the_threshold_is_enough(name, thr, kept):
    model = network(pseudo_thr_teacher=thr, pseudo_thr_student=thr)
    logits = torch.full((1, NUM_TAGS + 1, 1, 1), -1e9)
    logits[:, :2] = 0  # both have a probability of exactly 0.5
    valid = torch.ones(1, 1, 1, dtype=torch.bool)
    label = model.hard_labels(name, logits, logits, valid)
    assert (label.item() != 255) == kept


def test_no_offset_without_isda():
    model = network(isda=None)
    model.progress = 0.5
    losses = assert_matches(model, batch(), ratio=0.0)
    assert losses['isda_ratio'] == 0
    assert not len(model.isda)


def test_isda_on_some_networks_only():
    model = network(isda={'networks': ('student1',)})
    model.loss(*batch())
    assert list(model.isda) == ['student1']
    assert model.isda['student1'].count.sum() > 0


def test_teachers_have_offsets_only_for_labels_of_logits_with_offset():
    isda = {'max_count': 7}
    assert list(network(isda=isda).isda) == list(NETWORKS)
    model = network(isda=isda, labels_from='raw')
    assert list(model.isda) == ['student1', 'student2']
    assert {part.max_count for part in model.isda.values()} == {7}
    assert network().isda['student1'].max_count is None


def test_weights():
    model = network(teacher_weight=0.0, student_weight=3.0, sup_weight=0.5)
    plain = network()
    losses, expected = model.loss(*batch()), plain.loss(*batch())
    assert losses['loss_st'] == 0
    torch.testing.assert_close(losses['loss_ss'], 3 * expected['loss_ss'])
    key = 'sup_student1.decode.loss_ce'
    torch.testing.assert_close(losses[key], 0.5 * expected[key])


def test_the_other_branch_supervises():
    """L_st of student 1 depends on teacher 2, and not on teacher 1."""
    changes = {}
    for teacher in ('teacher1', 'teacher2'):
        model = network()
        with torch.no_grad():
            bias = model.networks[teacher].decode_head.conv_seg.bias
            bias[3] += 100  # it predicts class 3 everywhere
        losses = model.loss(*batch())
        model.zero_grad()
        losses['loss_st'].backward()
        changes[teacher] = {
            name: model.networks[name].decode_head.conv_seg.bias.grad[3]
            for name in OTHER
        }
    # The student that it supervises is driven to class 3.
    assert changes['teacher2']['student1'] < -1 > changes['teacher1']['student2']
    assert changes['teacher2']['student2'] > -1 < changes['teacher1']['student1']


def test_no_gradient_reaches_teachers_or_the_offset():
    grads = []
    for isda in (None, {}):
        model = network(isda=isda, labels_from='raw')
        losses = model.loss(*batch())
        (losses['loss_st'] + losses['loss_ss']).backward()
        for teacher in model.pairs:
            grads_of = [p.grad for p in model.networks[teacher].parameters()]
            assert grads_of == [None] * len(grads_of)
        grads.append(model.student1.decode_head.conv_seg.weight.grad)
    assert not torch.equal(*grads)
    model = network()
    feats = dict.fromkeys(NETWORKS, torch.randn(2, 8, 4, 4, dtype=torch.float64))
    logits = dict.fromkeys(NETWORKS, torch.zeros(2, 7, 4, 4, dtype=torch.float64))
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    with_offset = model.isda.update_and_add(
        model.networks, logits, feats, valid[:1].long(), valid, TagConstraint()
    )
    assert model.student1.decode_head.conv_seg.weight.requires_grad
    assert with_offset['student1'].any()
    assert not with_offset['student1'].requires_grad


@pytest.mark.parametrize('on_labeled', [True, False])
def test_labeled_images_take_part_by_option(on_labeled):
    model = network(semi_on_labeled=on_labeled)
    inputs, samples = batch()
    sizes = []
    for teacher in model.pairs:
        backbone = model.networks[teacher].backbone
        backbone.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    losses = model.loss(inputs, samples)
    assert sizes == [4, 4] if on_labeled else sizes == [2, 2]
    inputs['sup'] = inputs['sup'].flip(3)
    model = network(semi_on_labeled=on_labeled)
    other = model.loss(inputs, samples)
    assert (losses['loss_st'] != other['loss_st']) == on_labeled


def test_without_labeled_images_it_is_cps_with_teachers():
    """Against a cross entropy of the unlabeled images alone, without offset."""
    model = network(semi_on_labeled=False, isda=None)
    inputs, samples = batch()
    losses = model.loss(inputs, samples)
    logits = {
        name: halved(
            logits_and_feat(
                model, name, inputs['unsup_' + ('weak', 'strong')[name[0] == 's']]
            )[0]
        )
        for name in model.networks
    }
    valid = torch.stack([s.valid_map.data[0] for s in samples['unsup_weak']])
    size = logits['student1'].shape[2:]
    valid = F.interpolate(valid[:, None].double(), size)[:, 0] > 0.5
    expected = sum(
        F.cross_entropy(
            logits[s],
            logits[f'student{o[-1]}'].argmax(1).where(valid, 255),
            ignore_index=255,
        )
        for s, o in OTHER.items()
    )
    torch.testing.assert_close(losses['loss_ss'], expected)


def test_padding_has_a_loss_only_if_it_is_not_masked():
    blank = batch(valid=False)
    assert network().loss(*blank)['loss_st'] == 0
    assert network(mask_padding=False).loss(*blank)['loss_st'] > 0


@pytest.mark.parametrize('factor', [1.0, 2.0])
def test_resolution_of_the_losses(factor):
    model = network(loss_scale_factor=factor)
    maps = torch.randn(1, 7, 5, 6, dtype=torch.float64)
    output = SegOutput([], [], maps, maps)
    for resized in model.resize_to_loss((output,)):
        assert resized.shape[2:] == (int(5 * factor), int(6 * factor))
        if factor == 1:
            assert torch.equal(resized, maps)


def test_ramp():
    for progress, value in (
        (0, 0),
        (0.25, 0.2197),
        (0.5, 0.75),
        (0.75, 1.2803),
        (1, 1.5),
    ):
        assert 1.5 * ramp(progress, 'cosine') == pytest.approx(value, abs=1e-4)
        assert ramp(progress, 'linear') == progress
    assert math.isclose(ramp(1 / 3, 'cosine'), 0.25)


def test_strength_rises_with_the_progress():
    model = network(isda={'schedule': 'linear', 'end_ratio': 2.0})
    model.progress = 0.25
    assert model.loss(*batch())['isda_ratio'] == 0.5


class TestErrors:
    @pytest.mark.parametrize('kind', ['MKD', 'MeanTeacherSegmentor', 'UniMatchV2'])
    def test_the_hook_of_the_teachers_is_needed(self, kind):
        model = tiny_network(kind)
        message = rf"{kind}.progress is unset; add dict\(type='MeanTeacherHook', decay"
        with pytest.raises(RuntimeError, match=message):
            model.loss(*batch_of(kind))

    def test_a_classifier_that_is_not_linear(self):
        with pytest.raises(
            ValueError, match=r'1 x 1 .* in LargeFOVHead; .*isda = None'
        ):
            tiny_network('MKD', decode_head=HEAD | {'in_index': 1})
        model = tiny_network(
            'MKD', decode_head=HEAD | {'in_index': 1}, semi_train_cfg={'isda': None}
        )
        model.progress = 0.5
        assert model.loss(*batch_of('MKD'))['loss_st'] > 0

    def test_any_head_with_a_linear_classifier(self):
        head = FCN_HEAD | {'type': 'ASPPHead', 'dilations': (1, 2)}
        for key in ('num_convs', 'concat_input'):
            del head[key]
        model = tiny_network('MKD', decode_head=head)
        model.progress = 0.5
        assert model.loss(*batch_of('MKD'))['loss_st'] > 0
