"""ASDT: who teaches whom, and what is predicted."""

import pytest
import torch
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_model
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from teacher_a import sparse_label

from mmseg_wsss.models.losses import (
    ValidCrossEntropyLoss,
    balanced_cross_entropy,
    dense_energy_loss,
)
from mmseg_wsss.models.segmentors import ASDT
from mmseg_wsss.models.segmentors.weak import denormalize, stack_tags
from mmseg_wsss.models.utils import valid_maps
from mmseg_wsss.registry import MODELS


def build(**settings) -> ASDT:
    torch.manual_seed(0)
    cfg = tiny_model('ASDT', drop=False, **settings)
    cfg['backbone']['norm_eval'] = True  # or a second step would differ
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights()
    model.warmup = False
    return model.train()


def losses_of(model: ASDT, high: bool) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    model.pwm_high = high
    return model.loss(*tiny_batch(2))


def test_low_phase_is_the_formula():
    model = build(branch_weights=(0.3, 0.7))
    inputs, samples = tiny_batch(2)
    losses = losses_of(model, high=False)
    feats = model.extract_feat(inputs)
    img = denormalize(inputs, model.data_preprocessor)
    valid = valid_maps(samples, inputs)
    cam = model.train_cam(model, inputs, feats=feats)
    label = sparse_label(cam, stack_tags(samples), img, valid)
    assert all((label == value).any() for value in (0, 1, 5, 255))
    for name, head, weight in (
        ('teacher', model.teacher_head, 0.3),
        ('student', model.decode_head, 0.7),
    ):
        logits = torch.nn.functional.interpolate(head(feats), (33, 33), mode='bilinear')
        torch.testing.assert_close(
            losses[f'loss_{name}_ce'],
            weight * 2 * balanced_cross_entropy(logits, label),
        )
        torch.testing.assert_close(
            losses[f'loss_{name}_dense'],
            weight
            * dense_energy_loss(logits.softmax(1), img, valid, label, weight=1e-4),
        )


def test_high_phase_changes_the_students_cross_entropy_alone():
    model = build()
    low, high = losses_of(model, False), losses_of(model, True)
    changed = {key for key in low if not torch.equal(low[key], high[key])}
    assert changed == {'loss_student_ce', 'pwm'}


def test_dense_label_is_made_in_high_phases_only_and_without_gradient(monkeypatch):
    model = build()
    calls = []
    make = model.refine_by_crf

    def spy(*args):
        calls.append(make(*args))
        return calls[-1]

    monkeypatch.setattr(model, 'refine_by_crf', spy)
    losses_of(model, high=False)
    assert calls == []
    losses = losses_of(model, high=True)
    assert len(calls) == 1
    assert not calls[0].requires_grad
    model.zero_grad()
    losses['loss_student_ce'].backward()
    assert all(p.grad is None for p in model.teacher_head.parameters())
    assert model.backbone.stem[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_distillation_is_weighted_cross_entropy_on_the_dense_label(mode):
    model = build(distill_mode=mode, distill_weight=0.25)
    inputs, _ = tiny_batch(2)
    found = losses_of(model, high=True)['loss_student_ce']
    feats = model.extract_feat(inputs)
    up = [
        torch.nn.functional.interpolate(head(feats), (33, 33), mode='bilinear')
        for head in (model.teacher_head, model.decode_head)
    ]
    prob = model.crf_b(
        denormalize(inputs, model.data_preprocessor), up[0].detach().softmax(1)
    )
    if mode == 'hard':
        target = torch.nn.functional.one_hot(prob.argmax(1), NUM_TAGS + 1)
        prob = target.permute(0, 3, 1, 2).float()
    expected = -(prob * up[1].log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(found, 0.5 * 0.25 * expected)


def test_dense_energy_of_the_student_can_rest_in_high_phases():
    model = build(distill_keep_dense=False)
    assert losses_of(model, True)['loss_student_dense'] == 0
    assert losses_of(model, False)['loss_student_dense'] != 0


def labels_of_padding(model, monkeypatch):
    """Labels of both teachers for images with 13 rows of padding."""
    inputs, samples = tiny_batch(2)
    for sample in samples:
        sample.valid_map.data[:, 20:] = False
    labels = []
    monkeypatch.setattr(
        'mmseg_wsss.models.segmentors.weak.asdt.valid_cross_entropy',
        lambda logits, label: labels.append(label) or logits.sum() * 0,
    )
    monkeypatch.setattr(
        model.loss_seg,
        'forward',
        lambda logits, label: labels.append(label) or logits.sum(),
    )
    model.pwm_high = True
    model.loss(inputs, samples)
    sparse, dense = sorted(labels, key=lambda label: int((label != 255).sum()))
    return sparse, dense


def test_padding_is_labeled_by_neither_teacher(monkeypatch):
    labels = labels_of_padding(build(), monkeypatch)
    assert all((label[:, 20:] == 255).all() for label in labels)
    assert any((label[:, :20] != 255).any() for label in labels)


def test_released_code_labels_padding(monkeypatch):
    sparse, dense = labels_of_padding(build(mask_padding=False), monkeypatch)
    assert (dense != 255).all()
    assert (sparse[:, 20:] != 255).any()
    # The labels are those of crops without padding.
    whole = build()
    inputs, samples = tiny_batch(2)
    img = denormalize(inputs, whole.data_preprocessor)
    cam = whole.train_cam(whole, inputs)
    valid = torch.ones_like(sparse, dtype=torch.bool)
    expected = sparse_label(cam, stack_tags(samples), img, valid)
    assert torch.equal(sparse, expected)


def test_tag_filter_keeps_absent_classes_out_of_the_dense_label():
    inputs, samples = tiny_batch(2)
    model = build(tag_filter=True)
    tags, img = stack_tags(samples), denormalize(inputs, model.data_preprocessor)
    prob = torch.rand(2, NUM_TAGS + 1, 33, 33)
    dense = model.refine_by_crf(prob, tags, img)
    assert (dense[:, 1:][tags == 0] == 0).all()
    free = build().refine_by_crf(prob, tags, img)
    assert (free[:, 1:][tags == 0] > 0).any()


def test_released_guide_is_the_whole_image():
    model = build(crf_guide='resized_full')
    inputs, samples = tiny_batch(2)
    model.pwm_high = True
    with pytest.raises(KeyError, match=r'0\.png has no full_img'):
        model.loss(inputs, samples)
    bgr = torch.tensor([3, 2, 1], dtype=torch.uint8)[:, None, None].expand(3, 33, 33)
    for sample in samples:
        sample.full_img = PixelData(data=bgr)
    img = denormalize(inputs, model.data_preprocessor)
    guide = model.crf_guide_of(img, samples)
    assert guide.dtype == torch.float32
    assert guide.amax((0, 2, 3)).tolist() == guide.amin((0, 2, 3)).tolist() == [1, 2, 3]
    assert torch.isfinite(model.loss(inputs, samples)['loss_student_ce'])
    # Images that are loaded as RGB stay as they are.
    rgb = build(
        crf_guide='resized_full',
        data_preprocessor={
            'type': 'SegDataPreProcessor',
            'mean': [0] * 3,
            'std': [1] * 3,
        },
    )
    assert rgb.crf_guide_of(img, samples)[0, :, 0, 0].tolist() == [3, 2, 1]


@pytest.mark.parametrize('fuse', ['max', 'mean', 'student', 'teacher'])
def test_prediction_joins_both_heads(fuse):
    model = build(test_cfg={'mode': 'whole', 'fuse': fuse}).eval()
    inputs, samples = tiny_batch(2)
    feats = model.extract_feat(inputs)
    teacher, student = (
        torch.nn.functional.interpolate(head(feats), (33, 33), mode='bilinear').softmax(
            1
        )
        for head in (model.teacher_head, model.decode_head)
    )
    expected = {
        'max': torch.maximum(teacher, student),
        'mean': (teacher + student) / 2,
        'student': student,
        'teacher': teacher,
    }[fuse]
    with torch.no_grad():
        logits = model.encode_decode(inputs, [s.metainfo for s in samples])
        results = model.predict(inputs, samples)
    torch.testing.assert_close(logits.exp(), expected)
    for sample, prob in zip(results, expected):
        assert torch.equal(sample.pred_sem_seg.data[0], prob.argmax(0))


def test_every_source_delivers_and_teacher_a_is_sparse():
    model = build().eval()
    inputs, samples = tiny_batch(2)
    sources = list(model.pseudo_sources())
    dense = {'cam', 'prediction', 'fused_cam', 'cam_crf', 'teacher_b', 'fused'}
    assert set(sources) == {*dense, 'teacher_a'}
    for result in model.pseudo_labels(inputs, samples, sources):
        assert (result['teacher_a'][0] == 255).any()
        for source in dense:
            label, prob = result[source]
            assert label.max() <= NUM_TAGS
            assert prob.shape == (NUM_TAGS + 1, 33, 33)


@pytest.mark.parametrize('name', ['RRM', 'ASDT'])
def test_without_background_class_none_is_balanced_against_the_others(name):
    head = tiny_model('ASDT')['decode_head'] | {'num_classes': NUM_TAGS}
    cfg = tiny_model(name, decode_head=head)
    if name == 'ASDT':
        cfg['teacher_head'] = head
    cfg.pop('loss_seg', None)
    model = MODELS.build(ConfigDict(cfg))
    assert isinstance(model.loss_seg, ValidCrossEntropyLoss)
    cfg['loss_seg'] = {'type': 'BalancedCrossEntropyLoss'}
    with pytest.raises(ValueError, match=r'loss_seg: .* needs a background class'):
        MODELS.build(ConfigDict(cfg))


def test_without_background_class_labels_begin_with_the_first_tag():
    head = tiny_model('ASDT')['decode_head'] | {'num_classes': NUM_TAGS}
    model = build(decode_head=head, teacher_head=head, reliable={'cam_floor': 0.3})
    for high in (False, True):
        losses = losses_of(model, high)
        assert all(torch.isfinite(value) for value in losses.values())
    inputs, samples = tiny_batch(2)
    results = model.eval().pseudo_labels(inputs, samples, ['cam', 'teacher_a'])
    for tags, result in zip(((0,), (1, 4)), results):
        for label, prob in result.values():
            assert prob.shape[0] == NUM_TAGS
            assert set(label.unique().tolist()) <= {*tags, 255}


@pytest.mark.parametrize('mode', ['hard', 'soft'])
def test_without_background_class_and_tags_there_is_no_label(mode):
    head = tiny_model('ASDT')['decode_head'] | {'num_classes': NUM_TAGS}
    model = build(
        decode_head=head, teacher_head=head, tag_filter=True, distill_mode=mode
    )
    inputs, samples = tiny_batch(2)
    for sample in samples:
        sample.gt_tags.label.zero_()
    model.pwm_high = True
    losses = model.loss(inputs, samples)
    assert losses['loss_student_ce'] == losses['loss_teacher_ce'] == 0
    sources = ('cam', 'cam_crf', 'teacher_a', 'teacher_b', 'fused')
    for result in model.eval().pseudo_labels(inputs, samples, sources):
        assert all((label == 255).all() for label, _ in result.values())


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'distill_mode': 'warm'}, "distill_mode.*'warm'"),
        ({'crf_guide': 'none'}, "crf_guide.*'none'"),
        ({'test_cfg': {'fuse': 'min', 'mode': 'whole'}}, "fuse.*'min'"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)
