"""RRM: the step and the exported labels against the steps of its paper."""

import pytest
import torch
import torch.nn.functional as F
from helpers.methods import BACKBONE
from helpers.tiny import tiny_batch, tiny_network
from teacher_a import label_of_scores, sparse_label

from mmseg_wsss.models.losses import dense_energy_loss
from mmseg_wsss.models.segmentors.weak import denormalize, stack_tags


def build(**settings) -> torch.nn.Module:
    backbone = BACKBONE | {'norm_eval': True}  # or a second forward would differ
    model = tiny_network('RRM', drop=False, backbone=backbone, **settings)
    model.warmup = False
    return model


def padded_batch(size: tuple[int, int] = (33, 33)) -> tuple:
    """Two images with 8 rows of padding below."""
    inputs, samples = tiny_batch(2, size)
    for sample in samples:
        sample.valid_map.data[:, 25:] = False
        sample.set_metainfo({'img_shape': (25, size[1])})
    return inputs, samples


@pytest.mark.parametrize('masked', [True, False])
def test_a_step_is_the_formula(masked):
    model = build(seg_weight=0.3, mask_padding=masked)
    inputs, samples = padded_batch()
    losses = model.loss(inputs, samples)
    feats = model.extract_feat(inputs)
    img = denormalize(inputs, model.data_preprocessor)
    valid = torch.stack([sample.valid_map.data[0] for sample in samples])
    cam = model.train_cam(model, inputs, feats=feats)
    used = valid if masked else torch.ones_like(valid)
    label = sparse_label(cam, stack_tags(samples), img, used)
    assert all((label == value).any() for value in (0, 1, 5, 255))
    assert (label[:, 25:] == 255).all() == masked
    logits = F.interpolate(model.decode_head(feats), (33, 33), mode='bilinear')
    # The mean over the background and the mean over the other classes.
    parts = [label.where(label == 0, 255), label.where(label != 0, 255)]
    cross = sum(F.cross_entropy(logits, part, ignore_index=255) for part in parts)
    torch.testing.assert_close(losses['loss_ce'], 0.3 * cross)
    energy = dense_energy_loss(logits.softmax(1), img, valid, label, weight=1e-4)
    torch.testing.assert_close(losses['loss_dense'], 0.3 * energy)
    scores = model.cam_head(feats)
    expected = F.multilabel_soft_margin_loss(scores, stack_tags(samples))
    torch.testing.assert_close(losses['loss_cls'], expected)


def test_exported_labels_are_those_of_the_image_alone():
    model = build().eval()
    inputs, samples = padded_batch()
    sources = ['cam', 'cam_crf', 'teacher_a']
    seen = set()
    for i, found in enumerate(model.pseudo_labels(inputs, samples, sources)):
        tags = stack_tags(samples[i : i + 1])
        cam = found['cam'][1][None, 1:]
        img = denormalize(inputs[i : i + 1, :, :25], model.data_preprocessor)
        img = F.interpolate(img, (33, 33), mode='bilinear')
        label, strong = label_of_scores(cam, tags, img)
        seen.update(label.unique().tolist())
        assert torch.equal(found['teacher_a'][0], label[0])
        assert torch.equal(found['cam_crf'][0], strong.argmax(1)[0])
        for source in ('teacher_a', 'cam_crf'):
            torch.testing.assert_close(found[source][1], strong[0])
    assert seen == {0, 1, 5, 255}


def test_values_that_are_not_finite_count_as_0():
    model = build()
    inputs, samples = tiny_batch(2)
    img, tags = denormalize(inputs, model.data_preprocessor), stack_tags(samples)
    valid = torch.ones(2, 33, 33, dtype=torch.bool)
    cam = model.train_cam(model, inputs)
    cam = F.interpolate(cam, (33, 33), mode='bilinear')
    expected = cam.clone()
    for row, value in enumerate((torch.nan, torch.inf, -torch.inf)):
        cam[:, :, 5 + row], expected[:, :, 5 + row] = value, 0.0
    found = model.labeler.sparse_label(cam, tags, img, valid)
    assert torch.equal(found, sparse_label(expected, tags, img, valid))
    assert (found > 0).any()
