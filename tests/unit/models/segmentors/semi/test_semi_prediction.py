"""Which networks predict: one, several, and under test-time augmentation."""

from copy import deepcopy

import pytest
import torch
from helpers.tiny import tiny_batch, tiny_network

from mmseg_wsss.evaluation.wsss_tta_model import WSSSTTAModel


@pytest.fixture(scope='module')
def model():
    model = tiny_network('MKD').eval()
    with torch.no_grad():
        next(model.teacher1.parameters()).mul_(1.5)
    return model


@pytest.mark.parametrize(
    'name', ['student1', 'student2', 'teacher1', 'teacher2', 'student1+teacher2']
)
def test_networks_that_are_named(model, name):
    inputs, samples = tiny_batch(2, (37, 51))
    model.predict_on = name
    parts = name.split('+')
    expected = [
        model.networks[part].predict(inputs, deepcopy(samples)) for part in parts
    ]
    found = model.predict(inputs, samples)
    for row, sample in enumerate(found):
        logits = [images[row].seg_logits.data for images in expected]
        if len(parts) > 1:
            prob = torch.stack([x.softmax(0) for x in logits]).mean(0)
            torch.testing.assert_close(sample.seg_logits.data.softmax(0), prob)
            logits = [prob.log()]
        torch.testing.assert_close(sample.seg_logits.data, logits[0])
        assert sample.pred_sem_seg.data.shape == (1, 37, 51)


def test_ensemble_is_all_students(model):
    inputs, _ = tiny_batch(2)
    model.predict_on = 'ensemble'
    found = model.predict(inputs)
    model.predict_on = 'student1+student2'
    for first, second in zip(found, model.predict(inputs)):
        assert torch.equal(first.seg_logits.data, second.seg_logits.data)


def test_first_student_by_default_or_semi_test_cfg():
    assert tiny_network('MKD').predict_on == 'student1'
    model = tiny_network('MKD', semi_test_cfg={'predict_on': 'teacher2'})
    assert model.predict_on == 'teacher2'


def test_test_time_augmentation_averages_the_probabilities(model):
    inputs, samples = tiny_batch(1)
    model.predict_on = 'ensemble'
    with torch.no_grad():
        views = [model.predict(inputs, deepcopy(samples))[0] for _ in range(2)]
        (merged,) = WSSSTTAModel(module=model).merge_preds([views])
        logits = [
            net.predict(inputs, deepcopy(samples))[0].seg_logits.data
            for net in (model.student1, model.student2)
        ]
    expected = sum(x.softmax(0) for x in logits) / 2
    torch.testing.assert_close(merged.seg_logits.data, expected)


def test_unknown_networks_are_named(model):
    with pytest.raises(KeyError, match=r"has no \['student3'\].*teacher1"):
        model.predict_on = 'student1+student3'
    with pytest.raises(KeyError, match=r"predict_on has no \['teacher1'\]"):
        tiny_network('CPS', semi_test_cfg={'predict_on': 'teacher1'})
