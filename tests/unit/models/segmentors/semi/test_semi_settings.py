"""Settings of semi_train_cfg and semi_test_cfg are validated when built."""

from dataclasses import replace

import pytest
from helpers.tiny import tiny_network

from mmseg_wsss.models.segmentors.semi.fixmatch import UNIMATCH_CUTMIX
from mmseg_wsss.models.utils import CutMixSettings


def test_settings_of_cutmix_are_merged_over_the_defaults_of_the_method():
    def cutmix(kind, given):
        model = tiny_network(kind, semi_train_cfg={'cutmix': given})
        return model.train_cfg.cutmix

    assert cutmix('FixMatch', {'prob': 1.0}) == replace(UNIMATCH_CUTMIX, prob=1.0)
    assert cutmix('CPS', {}) == CutMixSettings()
    assert cutmix('MeanTeacherSegmentor', {'num_boxes': 2}) == CutMixSettings(2)
    assert cutmix('FixMatch', None) is None


@pytest.mark.parametrize(
    ('method', 'settings', 'error', 'message'),
    [
        ('CPS', {'typo': 1}, KeyError, r"cfg has no key 'typo' .*'cps_weight'"),
        ('CPS', {'pseudo_thr': 0.9}, KeyError, "has no key 'pseudo_thr'"),
        ('FixMatch', {'pseudo_thr': 95}, ValueError, 'pseudo_thr must .* got 95'),
        ('FixMatch', {'pseudo_thr': -0.1}, ValueError, 'pseudo_thr must .* -0.1'),
        ('MKD', {'pseudo_thr_teacher': 95}, ValueError, 'thr_teacher must .* 95'),
        ('MKD', {'pseudo_thr_student': 1.1}, ValueError, 'student must .* got 1.1'),
        ('MKD', {'loss_scale_factor': -3}, ValueError, 'must be above 0, got -3'),
        ('MKD', {'loss_scale_factor': 0}, ValueError, 'must be above 0, got 0'),
        ('MKD', {'teacher_weight': -1.5}, ValueError, 'teacher_weight must be at'),
        ('MKD', {'student_weight': '1'}, TypeError, 'must be a number, got .1'),
        ('MKD', {'semi_on_labeled': 1}, TypeError, 'must be a boolean, got 1'),
        ('CPS', {'teacher_mode': 'train'}, ValueError, 'CPS has no teacher'),
        ('MKD', {'teacher_mode': 'sleep'}, ValueError, "'train', got 'sleep'"),
        ('MKD', {'labels_from': 'odd'}, ValueError, "'raw', got 'odd'"),
        ('MKD', {'isda': {'ratio': 1}}, KeyError, "cfg.isda has no key 'ratio'"),
        ('MKD', {'isda': {'schedule': 'x'}}, ValueError, 'isda.schedule must be'),
        (
            'MKD',
            {'isda': {'networks': ('studnet1',)}},
            ValueError,
            r'isda.networks\[0\] must',
        ),
        (
            'MKD',
            {'isda': {'networks': 'student1'}},
            TypeError,
            'isda.networks must be a seq',
        ),
        ('MKD', {'isda': {'end_ratio': -1}}, ValueError, 'isda.end_ratio must be'),
        ('MKD', {'isda': {'max_count': 0}}, ValueError, 'isda.max_count must be'),
        ('CPS', {'cutmix': {'box_of': 'patner'}}, ValueError, "got 'patner'"),
        ('CPS', {'cutmix': {'boxes': 3}}, KeyError, "cutmix has no key 'boxes'"),
        ('CPS', {'cutmix': {'num_boxes': 0}}, ValueError, 'at least 1, got 0'),
        ('CPS', {'cutmix': {'prob': 2}}, ValueError, 'cutmix.prob must be at most'),
        ('CPS', {'cutmix': {'prop_range': (0.5, 0.25)}}, ValueError, 'must ascend'),
        (
            'CPS',
            {'cutmix': {'prop_range': (0, 0.5)}},
            ValueError,
            'must be above 0',
        ),
        ('CPS', {'cutmix': True}, TypeError, 'cfg.cutmix must be a dict, got True'),
        ('CPS', {'cps_weight': -1}, ValueError, 'cps_weight must be at least 0'),
        ('UniMatch', {'fp_dropout': 1.5}, ValueError, 'fp_dropout must .* got 1.5'),
        ('UniMatchV2', {'drop_prob': -1}, ValueError, 'drop_prob must .* got -1'),
        ('SupervisedSegmentor', {'sup_weight': -1}, ValueError, 'cfg.sup_weight'),
    ],
)
def test_settings_are_validated_when_built(method, settings, error, message):
    with pytest.raises(error, match=message) as found:
        tiny_network(method, semi_train_cfg=settings)
    assert 'semi_train_cfg' in str(found.value)


def test_unknown_settings_are_named():
    message = "semi_test_cfg has no key 'predict_one'; did you mean 'predict_on'"
    with pytest.raises(KeyError, match=message.replace('?', r'\?')):
        tiny_network('MKD', semi_test_cfg={'predict_one': 'teacher1'})
