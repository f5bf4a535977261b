"""Mean teacher, CPS, FixMatch and both versions of UniMatch, loss by loss."""

import sys
from copy import deepcopy
from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import BACKBONE
from helpers.tiny import CROP, batch_of, tiny_network

from mmseg_wsss.models.segmentors.semi.parts.pseudo_labels import PseudoLabels
from mmseg_wsss.models.segmentors.semi.unimatch_v2 import complementary_dropout

FROZEN = BACKBONE | {'norm_eval': True}


def network(kind, **settings):
    """A method in float64, of unlike networks, with nothing random in a forward."""
    options = {'drop': False, 'backbone': FROZEN, 'semi_train_cfg': settings}
    model = tiny_network(kind, **options).double()
    model.progress = 0.5
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for net in model.networks.values():
            for parameter in net.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(0.1 * noise)
            net.decode_head.conv_seg.weight.mul_(4)
    return model


def batch(num=2):
    inputs, samples = batch_of('MKD', num=num)
    for name, of_branch in samples.items():
        if name != 'sup':
            for sample in of_branch:
                sample.valid_map.data[:, :5] = False
    return {name: img.double() for name, img in inputs.items()}, samples


def upsampled(logits):
    return F.interpolate(logits, CROP, mode='bilinear', align_corners=False)


def logits_of(model, name, img):
    net = model.networks[name]
    return upsampled(net.decode_head(net.extract_feat(img)))


def mixed(img, mask):
    return torch.where(mask, img, img.roll(-1, 0))


def confident(logits, label, conf, thr):
    """Cross entropy of confident pixels, averaged over all that are not padding."""
    values = F.cross_entropy(logits, label, ignore_index=255, reduction='none')
    return (values * (conf >= thr)).sum() / (label != 255).sum()


def labels_of(model, name, inputs, samples):
    conf, label = logits_of(model, name, inputs['unsup_weak']).softmax(1).max(1)
    valid = torch.stack([s.valid_map.data[0] for s in samples['unsup_weak']])
    return label.masked_fill(~valid, 255), conf


def use_mask(model, monkeypatch, num=2):
    mask = torch.rand(num, 1, *CROP) > 0.4
    method = sys.modules[type(model).__module__]
    monkeypatch.setattr(method, 'draw_masks', lambda img, cutmix: mask.to(img))
    return mask


@pytest.mark.parametrize(
    ('kind', 'teacher', 'views', 'weight'),
    [
        ('MeanTeacherSegmentor', 'teacher', ('unsup_strong',), 1.0),
        ('FixMatch', 'student', ('unsup_strong',), 0.5),
        ('UniMatch', 'student', ('unsup_strong_0', 'unsup_strong_1'), 0.25),
        ('UniMatchV2', 'teacher', ('unsup_strong_0', 'unsup_strong_1'), 0.5),
    ],
)
def test_strong_views_are_supervised_by_labels_of_weak_ones(
    kind, teacher, views, weight, monkeypatch
):
    fixed = {'UniMatch': {'fp_dropout': 0.0}, 'UniMatchV2': {'drop_prob': 0.0}}
    model = network(kind, pseudo_thr=0.5, **fixed.get(kind, {}))
    mask = use_mask(model, monkeypatch)
    inputs, samples = batch()
    label, conf = labels_of(model, teacher, inputs, samples)
    expected = [
        confident(
            logits_of(model, 'student', mixed(inputs[view], mask)),
            mixed(label, mask[:, 0]),
            mixed(conf, mask[:, 0]),
            0.5,
        )
        for view in views
    ]
    losses = model.loss(inputs, samples)
    torch.testing.assert_close(
        losses['loss_unsup'], weight * sum(expected) / len(views)
    )
    assert 0 < losses['ratio_confident'] < 1
    assert 1 <= losses['num_effective_classes'] <= model.num_classes
    plain = model.student.loss(inputs['sup'], samples['sup'])['decode.loss_ce']
    sup_weight = 1.0 if kind == 'MeanTeacherSegmentor' else 0.5
    found = losses['sup_student.decode.loss_ce']
    torch.testing.assert_close(found, sup_weight * plain)


def test_weights_of_unimatch_are_published_ones():
    """(L_x + (L_s1 + L_s2) / 4 + L_fp / 2) / 2, and (L_x + (L_s1 + L_s2) / 2) / 2."""
    first, second = (
        tiny_network(kind).train_cfg for kind in ('UniMatch', 'UniMatchV2')
    )
    assert (first.sup_weight, first.fp_weight) == (0.5, 0.25)
    assert first.unsup_weight / 2 == 1 / 2 * 1 / 4
    assert second.unsup_weight / 2 == 1 / 2 * 1 / 2
    defaults = type(tiny_network('FixMatch')).train_settings
    assert {f.name: f.default for f in fields(defaults)}['pseudo_thr'] == 0.95


class TestUniMatch:
    def test_perturbed_features_are_supervised_by_the_own_label(self):
        model = network('UniMatch', pseudo_thr=0.5, cutmix=None, fp_dropout=0.5)
        inputs, samples = batch()
        torch.manual_seed(3)
        losses = model.loss(inputs, samples)
        torch.manual_seed(3)
        net = model.student
        feats = net.extract_feat(inputs['unsup_weak'])
        dropped = [F.dropout2d(feat, 0.5) for feat in feats]
        logits = upsampled(net.decode_head(dropped))
        label, conf = labels_of(model, 'student', inputs, samples)
        expected = 0.25 * confident(logits, label, conf, 0.5)
        torch.testing.assert_close(losses['loss_fp'], expected)

    def test_own_pixels_and_those_of_the_partner_have_different_labels(
        self, monkeypatch
    ):
        """Batch statistics label own pixels, running ones those of the partner."""
        settings = {'pseudo_thr': 0.3, 'fp_dropout': 0.0}
        model = tiny_network('UniMatch', drop=False, semi_train_cfg=settings).double()
        mask = use_mask(model, monkeypatch)
        inputs, samples = batch()
        # Forwards in train mode move the running statistics, which eval mode uses.
        twin = deepcopy(model)
        logits_of(twin, 'student', inputs['sup'])
        own = labels_of(twin, 'student', inputs, samples)
        twin.eval()
        partner = labels_of(twin, 'student', inputs, samples)
        assert not torch.equal(own[0], partner[0])
        twin.train()
        label, conf = (
            torch.where(mask[:, 0], first, second.roll(-1, 0))
            for first, second in zip(own, partner)
        )
        expected = sum(
            confident(
                logits_of(twin, 'student', mixed(inputs[f'unsup_strong_{i}'], mask)),
                label,
                conf,
                0.3,
            )
            for i in range(2)
        )
        losses = model.loss(inputs, samples)
        torch.testing.assert_close(losses['loss_unsup'], 0.25 * expected / 2)


def test_labels_are_mixed_from_own_and_partner():
    mask = torch.rand(3, 1, 4, 5) > 0.4
    own, partner = (
        PseudoLabels(torch.randint(9, (3, 4, 5)), torch.rand(3, 4, 5)) for _ in 'op'
    )
    for found, first, second in zip(own.mixed(mask, partner), own, partner):
        assert found.equal(torch.where(mask[:, 0], first, second.roll(-1, 0)))
    for found, first in zip(own.mixed(mask), own):
        assert found.equal(mixed(first, mask[:, 0]))


class TestUniMatchV2:
    def test_channels_are_in_one_of_both_views(self):
        feats = [torch.ones(100, 8, 2, 2), torch.ones(100, 4, 1, 1)]
        for first, second in zip(*complementary_dropout(feats, 1.0)):
            assert set(first.unique().tolist()) == {0.0, 2.0}
            assert torch.equal(first + second, torch.full_like(first, 2))
            assert first[:, :, 0, 0].std(0).min() > 0  # by image
            assert torch.equal(first, first[:, :, :1, :1].expand_as(first))

    def test_each_view_has_its_own_features(self):
        feats = [torch.cat([torch.full((4, 3, 1, 1), 1.0), torch.zeros(4, 3, 1, 1)])]
        (first,), (second,) = complementary_dropout(feats, 0.0)
        assert first.eq(1).all() and second.eq(0).all()

    def test_half_of_the_images_stay_whole_at_every_level(self):
        torch.manual_seed(0)
        feats = [torch.ones(800, 8, 1, 1), torch.ones(800, 4, 1, 1)]
        views = complementary_dropout(feats, 0.5)
        whole = (views[0][0] == 1).flatten(1).all(1)
        assert 0.4 < whole.double().mean() < 0.6
        for view in views:
            for feat in view:
                assert torch.equal((feat == 1).flatten(1).all(1), whole)


class TestCPS:
    def test_labels_of_unmixed_images_supervise_mixed_ones(self, monkeypatch):
        model = network('CPS', cps_weight=2.0, cutmix={})
        mask = use_mask(model, monkeypatch)
        inputs, samples = batch()
        expected = 0
        for student, other in (('student1', 'student2'), ('student2', 'student1')):
            label, _ = labels_of(model, other, inputs, samples)
            logits = logits_of(model, student, mixed(inputs['unsup_weak'], mask))
            label = mixed(label, mask[:, 0])
            expected += F.cross_entropy(logits, label, ignore_index=255)
        losses = model.loss(inputs, samples)
        torch.testing.assert_close(losses['loss_cps'], 2 * expected)

    def test_without_cutmix_labeled_images_take_part(self):
        model = network('CPS', cutmix=None)
        inputs, samples = batch()
        samples['sup'][0].gt_sem_seg.data[:, :3] = 255
        gt = torch.cat([s.gt_sem_seg.data for s in samples['sup']])
        expected = 0
        for student, other in (('student1', 'student2'), ('student2', 'student1')):
            label = logits_of(model, other, inputs['sup']).argmax(1)
            label[gt == 255] = 255
            unlabeled, _ = labels_of(model, other, inputs, samples)
            logits = [
                logits_of(model, student, inputs[k]) for k in ('sup', 'unsup_weak')
            ]
            expected += F.cross_entropy(
                torch.cat(logits), torch.cat([label, unlabeled]), ignore_index=255
            )
        losses = model.loss(inputs, samples)
        torch.testing.assert_close(losses['loss_cps'], expected)

    def test_labels_do_not_move_batch_statistics(self, monkeypatch):
        """Two forwards of each student move them: labeled and mixed images."""
        model = tiny_network('CPS')
        model.loss(*batch_of('CPS'))
        for student in model.students:
            stem = model.networks[student].backbone.stem[1]
            assert stem.num_batches_tracked == 2
        assert all(m.training for m in model.modules())


@pytest.mark.parametrize('kind', ['MeanTeacherSegmentor', 'CPS', 'FixMatch'])
def test_padding_has_a_loss_only_if_it_is_not_masked(kind):
    inputs, samples = batch_of(kind, valid=False)
    key = 'loss_cps' if kind == 'CPS' else 'loss_unsup'
    for on in (True, False):
        cfg = {'mask_padding': on} | ({} if kind == 'CPS' else {'pseudo_thr': 0.0})
        model = tiny_network(kind, semi_train_cfg=cfg)
        model.progress = 0.5
        assert (model.loss(inputs, samples)[key] == 0) == on
