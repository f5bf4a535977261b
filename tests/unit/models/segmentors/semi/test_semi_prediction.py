"""Networks that predict, test-time augmentation, and prediction filtering."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from helpers.methods import NUM_TAGS
from helpers.tiny import tiny_batch, tiny_network

from mmseg_wsss.evaluation.wsss_tta_model import WSSSTTAModel

CLASSIFIER = {'type': 'CAMHead', 'in_channels': 16, 'num_classes': NUM_TAGS}
WHOLE = {'mode': 'whole'}
SLIDE = {'mode': 'slide', 'crop_size': (17, 17), 'stride': (9, 9)}


@pytest.fixture
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


class TestPredictionFilter:
    def predict(self, prob: list[float], thr: float, size=None, mode=WHOLE, **options):
        """Predictions of a network, the classifier of which is replaced."""
        model = tiny_network(
            'MKD',
            cam_head=CLASSIFIER,
            test_cfg=mode,
            semi_test_cfg={'prediction_filter': {'thr': thr}, **options},
        ).eval()
        logits = torch.logit(torch.tensor(prob)).expand(2, -1)
        model.cam_head.forward = lambda feats: logits
        inputs, samples = tiny_batch()
        for sample in samples:
            sample.set_metainfo({'ori_shape': size or sample.ori_shape})
        with torch.no_grad():
            return model.predict(inputs, samples), model, inputs, samples

    @pytest.mark.parametrize('predict_on', ['student1', 'teacher1', 'ensemble'])
    def test_next_class_takes_the_pixel(self, predict_on):
        prob = [0.9, 0.05, 0.2, 0.05, 0.05, 0.4]
        found, model, inputs, samples = self.predict(prob, 0.1, predict_on=predict_on)
        model.prediction_filter = None
        with torch.no_grad():
            plain = model.predict(inputs, deepcopy(samples))
        allowed = [0, 1, 3, 6]
        for a, b in zip(found, plain):
            logits = b.seg_logits.data[allowed]
            expected = torch.tensor(allowed)[logits.argmax(0)]
            assert torch.equal(a.pred_sem_seg.data[0], expected)
            assert not torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)

    def test_threshold_zero_removes_nothing(self):
        found, model, inputs, samples = self.predict([0.1] * 6, 0.0, (50, 70))
        model.prediction_filter = None
        with torch.no_grad():
            plain = model.predict(inputs, deepcopy(samples))
        for a, b in zip(found, plain):
            assert torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)

    def test_the_classifier_of_the_first_student_sees_each_image(self):
        model = tiny_network(
            'MKD',
            cam_head=CLASSIFIER,
            semi_test_cfg={'prediction_filter': {'thr': 0.5}, 'predict_on': 'teacher2'},
        ).eval()
        inputs, _ = tiny_batch()
        with torch.no_grad():
            prob = model.cam_head(model.student1.extract_feat(inputs)).sigmoid()
            first, second = prob[:, (prob[0] - prob[1]).abs().argmax()].tolist()
            thr = (first + second) / 2  # one class remains in one of the images only
            model.prediction_filter = replace(model.prediction_filter, thr=thr)
            found = model.predict(inputs)
        absent = torch.cat([torch.zeros(2, 1), prob < thr], 1).bool()
        assert absent[0].ne(absent[1]).any()
        for row, sample in zip(absent, found):
            assert (sample.seg_logits.data[row] < -1e3).all()
            assert (sample.seg_logits.data[~row] > -1e3).all()

    @pytest.mark.parametrize('mode', [WHOLE, SLIDE], ids=['whole', 'slide'])
    @pytest.mark.parametrize('predict_on', ['student1', 'ensemble'])
    def test_resized_and_sliding_predictions_are_filtered(self, mode, predict_on):
        prob = [0.9, 0.05, 0.05, 0.05, 0.05, 0.4]
        found, model, inputs, samples = self.predict(
            prob, 0.1, (50, 70), mode, predict_on=predict_on
        )
        model.prediction_filter = None
        with torch.no_grad():
            plain = model.predict(inputs, deepcopy(samples))
        allowed = [0, 1, 6]
        for a, b in zip(found, plain):
            assert a.pred_sem_seg.data.shape == (1, 50, 70)
            assert set(a.pred_sem_seg.data.unique().tolist()) <= {*allowed}
            assert not torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)
            if predict_on == 'student1':
                label = b.seg_logits.data[allowed].argmax(0)
                assert torch.equal(a.pred_sem_seg.data[0], torch.tensor(allowed)[label])

    def test_views_of_test_time_augmentation_are_filtered(self):
        _, model, inputs, samples = self.predict([0.9, *[0.05] * 5], 0.1)
        with torch.no_grad():
            views = [model.predict(x, deepcopy(samples)) for x in (inputs, inputs * 2)]
            merged = WSSSTTAModel(module=model).merge_preds(list(zip(*views)))
        for sample in merged:
            assert set(sample.pred_sem_seg.data.unique().tolist()) <= {0, 1}
            assert (sample.seg_logits.data[2:] == 0).all()

    def test_background_remains(self):
        found, *_ = self.predict([0.1] * 6, 0.5)
        assert all((s.pred_sem_seg.data == 0).all() for s in found)

    def test_it_needs_a_classifier(self):
        with pytest.raises(ValueError, match='needs model'):
            tiny_network('MKD', semi_test_cfg={'prediction_filter': {'thr': 0.1}})
