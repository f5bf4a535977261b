"""The two bases of the weakly supervised methods, and what they hold."""

from types import SimpleNamespace

import pytest
import torch
from helpers.methods import METHODS, NUM_TAGS, WEAK
from helpers.tiny import set_phase, tiny_batch, tiny_model, tiny_network
from mmengine.config import ConfigDict
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder
from torch import nn

from mmseg_wsss.engine.hooks import (
    AffinityLabelHook,
    MultiScaleAttentionHook,
    PWMDistillationHook,
    WeakWarmupHook,
)
from mmseg_wsss.models.cam import MultiScaleCAM
from mmseg_wsss.models.pseudo_labels import normalize_cam
from mmseg_wsss.models.segmentors.weak import (
    WeakClassifier,
    WeakSegmentor,
    denormalize,
)
from mmseg_wsss.models.segmentors.weak.parts import confident_regions, reliable_label
from mmseg_wsss.models.utils import phases_of
from mmseg_wsss.pipelines.plain_network import weak_model
from mmseg_wsss.registry import MODELS


def build(name: str = 'CAM', **settings):
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(tiny_model(name, **settings)))
    model.init_weights()
    return model


@pytest.mark.parametrize('name', ['CAM', 'ASDT'])
def test_labels_from_the_prediction_slide_as_the_prediction_does(name):
    slide = {'mode': 'slide', 'crop_size': (24, 24), 'stride': (12, 12)}
    model = build(name, test_cfg=slide).eval()
    inputs, samples = tiny_batch(1, (40, 48))
    (result,) = model.predict(inputs, samples)
    (labels,) = model.pseudo_labels(inputs, samples, ['prediction'])
    assert labels['prediction'][0].equal(result.pred_sem_seg.data[0])


def test_rrm_labels_padding_if_told():
    labels = {}
    for masked in (True, False):
        model = build('RRM', mask_padding=masked)
        inputs, samples = tiny_batch(2)
        for sample in samples:
            sample.valid_map.data[:, 20:] = False
        model.warmup = False
        model.loss_seg.register_forward_pre_hook(
            lambda _, args, masked=masked: labels.update({masked: args[1]})
        )
        model.loss(inputs, samples)
    assert (labels[True][:, 20:] == 255).all()
    assert (labels[False][:, 20:] != 255).any()


@pytest.mark.parametrize('name', ['RRM', 'ASDT'])
def test_labels_from_the_prediction_need_no_tags(name):
    model = build(name).eval()
    inputs, samples = tiny_batch(1)
    sources = {'prediction', 'fused'} & set(model.pseudo_sources())
    expected = model.pseudo_labels(inputs, samples, sources)
    del samples[0].gt_tags
    found = model.pseudo_labels(inputs, samples, sources)
    for source in sources:
        assert found[0][source][0].equal(expected[0][source][0])
    with pytest.raises(KeyError, match='has no gt_tags'):
        model.pseudo_labels(inputs, samples, ['cam'])


def test_colors_survive_the_normalization():
    model = build()
    img = torch.randint(0, 256, (1, 3, 5, 7), dtype=torch.uint8)
    data = {'inputs': list(img), 'data_samples': tiny_batch(1, (5, 7))[1]}
    inputs = model.data_preprocessor(data, True)['inputs']
    assert torch.equal(
        denormalize(inputs, model.data_preprocessor), img.flip(1).float()
    )


def test_missing_tags_are_named():
    model = build()
    inputs, samples = tiny_batch(2)
    del samples[1].gt_tags
    with pytest.raises(KeyError, match=r'1\.png has no gt_tags'):
        model.loss(inputs, samples)


def test_pseudo_labels_come_at_the_original_size_and_by_name():
    model = build(
        test_cfg={'cam': {'scales': (1.0,)}, 'mode': 'whole', 'bg_thr': 0.3}
    ).eval()
    inputs, samples = tiny_batch(2)
    for sample in samples:
        sample.set_metainfo({'ori_shape': (50, 61)})
    results = model.pseudo_labels(inputs, samples, ['cam', 'prediction'])
    for tags, result in zip(((0,), (1, 4)), results):
        label, prob = result['cam']
        assert label.shape == (50, 61)
        assert prob.shape == (NUM_TAGS + 1, 50, 61)
        assert set(label.unique().tolist()) <= {0, *(k + 1 for k in tags)}
        torch.testing.assert_close(
            label > 0, prob[1:].amax(0) > 0.3, msg='threshold of the CAM'
        )
        absent = [k for k in range(NUM_TAGS) if k not in tags]
        assert (prob[1:][absent] == 0).all()
    with pytest.raises(KeyError, match="'teacher_z'"):
        model.pseudo_labels(inputs, samples, ['teacher_z'])


def test_prediction_carries_what_test_cfg_asks_for():
    model = build(
        test_cfg={
            'mode': 'whole',
            'pseudo_sources': ['cam', 'prediction'],
            'predict_tags': True,
        }
    ).eval()
    inputs, samples = tiny_batch(2)
    with torch.no_grad():
        results = model.predict(inputs, samples)
        scores = model.cam_head(model.extract_feat(inputs)).sigmoid()
    for sample, score in zip(results, scores):
        assert sample.cam.data.shape == (NUM_TAGS, 33, 33)
        assert torch.equal(sample.pred_tags.score, score)
        assert torch.equal(sample.pseudo_prediction.data, sample.pred_sem_seg.data)


@pytest.mark.parametrize('name', ['CAM', 'RRM', 'CAMSeg', 'AFA', 'TSCD'])
@pytest.mark.parametrize('how', ['max', 'minmax'])
def test_exported_cams_are_normalized_as_told(name, how):
    model = build(name, cam_normalization=how).eval()
    inputs, samples = tiny_batch(1)
    tags = samples[0].gt_tags.label[None]
    cam = 1 + torch.rand(1, NUM_TAGS, *inputs.shape[2:])
    model.extract_cam = lambda inputs, size: cam
    other = 'max' if how == 'minmax' else 'minmax'
    expected, wrong = (normalize_cam(cam, tags, mode)[0] for mode in (how, other))
    (labels,) = model.pseudo_labels(inputs, samples, ['cam'])
    torch.testing.assert_close(labels['cam'][1][1:], expected)
    assert not torch.allclose(expected, wrong)


@pytest.mark.parametrize('name', ['RRM', 'ASDT', 'AffinityNet', 'IRNet'])
@pytest.mark.parametrize('how', ['max', 'minmax'])
def test_labels_of_a_step_have_the_same_normalization(name, how, monkeypatch):
    model = tiny_network(name, cam_normalization=how)
    set_phase(model, METHODS[name].phases[-1])
    modes = []

    def recorded(cam, tags, mode='max'):
        modes.append(mode)
        return normalize_cam(cam, tags, mode)

    for module in (confident_regions, reliable_label):
        monkeypatch.setattr(module, 'normalize_cam', recorded)
    model.loss(*tiny_batch(2))
    assert modes == [how]


@pytest.mark.parametrize(
    'mode, ori_shape, img_shape, extractions',
    [
        ('whole', (40, 48), (40, 48), 1),
        ('whole', (80, 96), (40, 48), 2),
        ('whole', (40, 40), (40, 40), 2),  # padded
        ('whole', (40, 48), (40, 40), 2),
        ('slide', (40, 48), (40, 48), 9 + 1),  # windows and the whole image
    ],
)
def test_a_prediction_shares_its_cam_with_the_export(
    mode, ori_shape, img_shape, extractions
):
    slide = {'crop_size': (24, 24), 'stride': (12, 12)}
    cam = {'scales': (0.5, 1.0), 'flip': True}
    settings = {'mode': mode, 'pseudo_sources': ['cam'], 'cam': cam, **slide}
    model = build(test_cfg=settings).eval()
    inputs, samples = tiny_batch(1, (40, 48))
    samples[0].set_metainfo({'ori_shape': ori_shape, 'img_shape': img_shape})
    (expected,) = model.pseudo_labels(inputs, samples, ['cam'])
    calls = []
    extract = model.extract_cam
    model.extract_cam = lambda *args: calls.append(args) or extract(*args)
    (result,) = model.predict(inputs, samples)
    label, prob = expected['cam']
    assert result.pseudo_cam.data[0].equal(label)
    assert result.cam.data.equal(prob[1:])
    assert len(calls) == extractions


def test_a_cascade_has_one_refining_head_at_most():
    head = tiny_model('RRM')['decode_head']
    with pytest.raises(ValueError, match='one refining head, got 2'):
        build('RRM', decode_head=[head, head, head])


@pytest.mark.parametrize('background', [True, False])
def test_a_classifier_predicts_by_its_cam(background):
    """Tagged classes compete with the threshold; without tags, probable ones."""
    model = build(background=background, test_cfg={'bg_thr': 0.3}).eval()
    inputs, samples = tiny_batch(2)
    with torch.no_grad():
        model.cam_head.classifier.weight.mul_(20)  # logits far from 0
        cam = MultiScaleCAM()(model, inputs, size=inputs.shape[2:])
        scores = model(inputs).sigmoid()
    tags = torch.stack([s.gt_tags.label for s in samples])
    for present, known in ((tags, True), (scores > 0.5, False)):
        if not known:
            for sample in samples:
                del sample.gt_tags
        assert (present > 0).any()
        expected = cam / (cam.amax((2, 3), keepdim=True) + 1e-5)
        expected = expected * (present > 0)[:, :, None, None]
        if background:
            constant = torch.full_like(expected[:, :1], 0.3)
            expected = torch.cat([constant, expected], 1)
        with torch.no_grad():
            results = model.predict(inputs, samples)
        for result, score in zip(results, expected):
            assert torch.equal(result.pred_sem_seg.data[0], score.argmax(0))
            torch.testing.assert_close(result.seg_logits.data.exp(), score)


def test_a_refining_head_gets_the_default_settings():
    """Those that ``PointHead`` reads: 2048 points of a step, 8196 of a prediction."""
    model = build('RRM', test_cfg={'scale_factor': 4})
    assert model.train_cfg.num_points == 2048
    assert model.test_cfg.subdivision_num_points == 8196
    assert model.test_cfg.scale_factor == 4
    cfg = tiny_model('RRM')
    cfg['decode_head'] = [cfg['decode_head'], {'type': 'PointHead'}]
    plain, _ = weak_model(cfg)
    assert plain['test_cfg'] == {
        'mode': 'whole',
        'subdivision_steps': 2,
        'subdivision_num_points': 8196,
        'scale_factor': 2,
    }


def test_one_output_channel():
    one = {**METHODS['ASDT'].model['teacher_head'], 'num_classes': 2, 'out_channels': 1}
    for setting in ('decode_head', 'teacher_head'):
        with pytest.raises(ValueError, match='out_channels of the decode head'):
            build('ASDT', **{setting: one | {'threshold': 0.5}})


def test_no_classifier_has_a_decode_head():
    for name in ('CAM', 'RCMMAM', 'AffinityNet', 'IRNet'):
        assert not any('decode_head' in key for key in build(name).state_dict())
        with pytest.raises(ValueError, match='decode_head'):
            build(name, decode_head={'type': 'FCNHead', 'channels': 8})


def test_a_classifier_checkpoint_starts_a_segmentor():
    plain = build()
    model = build('ASDT')
    keys = model.load_state_dict(plain.state_dict(), strict=False)
    assert not keys.unexpected_keys
    assert {key.split('.')[0] for key in keys.missing_keys} == {
        'decode_head',
        'teacher_head',
    }


def test_methods_are_two_levels_below_mmseg_and_no_method_is_a_base():
    for name in WEAK:
        cls = MODELS.get(METHODS[name].model['type'])
        above = cls.__mro__[1:3]
        assert above in (
            (WeakClassifier, BaseSegmentor),
            (WeakSegmentor, EncoderDecoder),
        ), name


@pytest.mark.parametrize('name', [name for name in WEAK if name != 'CAM'])
def test_a_step_without_its_hook_shows_the_hook(name):
    model = tiny_network(name)
    batch = tiny_batch(2)
    hooks = {
        'warmup': 'WeakWarmupHook',
        'pwm_high': 'PWMDistillationHook',
        'use_affinity': 'AffinityLabelHook',
        'use_mam': 'MultiScaleAttentionHook',
        'progress': 'MeanTeacherHook',
    }
    phases = list(phases_of(model))
    for missing in phases:
        model = tiny_network(name)
        for phase in phases:
            if phase != missing:
                setattr(model, phase, True)  # found in the warm-up too
        message = f"{missing} is unset; .*'{hooks[missing]}'"
        with pytest.raises(RuntimeError, match=message):
            model.loss(*batch)


@pytest.mark.parametrize(
    'hook',
    [
        WeakWarmupHook(0),
        AffinityLabelHook(0),
        MultiScaleAttentionHook(0),
        PWMDistillationHook(),
    ],
    ids=lambda hook: type(hook).__name__,
)
@pytest.mark.parametrize('model', [nn.Linear(1, 1), 'CAM'])
def test_a_hook_refuses_a_network_without_its_phase(hook, model):
    model = build(model) if isinstance(model, str) else model
    with pytest.raises(TypeError, match=f'{type(hook).__name__} sets {hook.phase}'):
        hook.before_train(SimpleNamespace(model=model, seed=0))


CASES = [
    ('CAM', {'test_cfg': {'bg_thrr': 0.3}}, KeyError, 'test_cfg.*bg_thrr'),
    ('CAM', {'test_cfg': {'bg_thr': 45}}, ValueError, r'test_cfg\.bg_thr'),
    ('CAM', {'test_cfg': {'mode': 'slid'}}, ValueError, r'test_cfg\.mode'),
    ('CAM', {'test_cfg': {'mode': 'slide'}}, ValueError, 'crop_size and stride'),
    ('CAM', {'test_cfg': {'cam': {'flips': True}}}, KeyError, r'test_cfg\.cam.*flips'),
    ('CAM', {'test_cfg': {'pseudo_sources': ['teacher_a']}}, KeyError, 'teacher_a'),
    ('CAM', {'train_cfg': {'camm': {}}}, KeyError, 'train_cfg.*camm'),
    ('RRM', {'train_cfg': {'camm': {}}}, KeyError, 'train_cfg.*camm'),
    ('RRM', {'train_cfg': {'cam': {'scales': [-1]}}}, ValueError, r'cam\.scales'),
    ('RRM', {'test_cfg': {'fuse': 'max'}}, KeyError, 'test_cfg.*fuse'),
    ('RRM', {'reliable': {'min_cm': 0.1}}, KeyError, 'reliable.*min_cm'),
    ('RRM', {'reliable': {'drop_ratio': 2}}, ValueError, r'reliable\.drop_ratio'),
    ('RRM', {'dense_energy': {'wight': 1.0}}, KeyError, 'dense_energy.*wight'),
    ('RRM', {'dense_energy': {'sigma_xy': 0}}, ValueError, r'energy\.sigma_xy'),
    ('RRM', {'reliable': {'drop_ratio': 1.0}}, ValueError, 'drop_ratio must be below'),
    ('RRM', {'alphas': (4.0,)}, ValueError, 'alphas'),
    ('RRM', {'alphas': (32.0, 4.0)}, ValueError, 'alphas must ascend'),
    ('IRNet', {'alphas': (32.0, 4.0)}, ValueError, 'alphas must ascend'),
    ('RRM', {'seg_weight': -1}, ValueError, 'seg_weight'),
    ('RRM', {'crf': {'type': 'DenseCRF', 'num_itr': 2}}, TypeError, 'num_itr'),
    ('ASDT', {'branch_weights': (0.5,)}, ValueError, 'branch_weights'),
    ('ASDT', {'branch_weights': 0.5}, TypeError, 'branch_weights'),
    ('ASDT', {'distill_weight': -0.1}, ValueError, 'distill_weight'),
    ('CAM', {'cam_normalization': 'l2'}, ValueError, 'cam_normalization'),
    ('CAMSeg', {'cam_normalization': 'l2'}, ValueError, 'cam_normalization'),
    ('AFA', {'cam_normalization': 'l2'}, ValueError, 'cam_normalization'),
    ('TSCD', {'cam_normalization': 'l2'}, ValueError, 'cam_normalization'),
    ('RRM', {'cam_normalization': 'l2'}, ValueError, 'cam_normalization'),
    ('CAM', {'train_cfg': {'cam': {'scales': (1.0,)}}}, ValueError, r'train_cfg\.cam'),
    ('RCMMAM', {'train_cfg': {'cam': {}}}, ValueError, r'train_cfg\.cam'),
    ('CAMSeg', {'high_thr': 55.0}, ValueError, 'high_thr must be at most 1'),
    ('AFA', {'high_thr': 55.0}, ValueError, 'high_thr must be at most 1'),
    ('CAMSeg', {'high_thr': 0.3, 'low_thr': 0.4}, ValueError, 'low_thr'),
    ('AFA', {'refine_scale': 0}, ValueError, 'refine_scale'),
    ('AFA', {'walk_scale': -1}, ValueError, 'walk_scale'),
    ('AFA', {'radius': -1}, ValueError, 'radius'),
    ('TSCD', {'n_points': 0}, ValueError, 'n_points'),
    ('TSCD', {'view_scale': 0}, ValueError, 'view_scale'),
    ('RCMMAM', {'memory_size': -1}, ValueError, 'memory_size'),
    ('RCMMAM', {'main_scales': ()}, ValueError, 'main_scales'),
    ('AffinityNet', {'walk': {'step': 4}}, TypeError, 'step'),
    ('AffinityNet', {'walk': {'beta': -1}}, ValueError, 'beta'),
    ('AffinityNet', {'walk_alpha': 0}, ValueError, 'walk_alpha'),
    ('AffinityNet', {'crf_iters': -1}, ValueError, 'crf_iters'),
    ('IRNet', {'bg_thr': 25}, ValueError, 'bg_thr'),
]


@pytest.mark.parametrize(('name', 'settings', 'error', 'message'), CASES)
def test_bad_settings_are_found_when_built(name, settings, error, message):
    with pytest.raises(error, match=message):
        build(name, **settings)
