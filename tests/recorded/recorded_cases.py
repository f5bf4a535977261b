"""What is recorded: short trainings of every method, with each of its options."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from helpers.methods import HEAD, METHODS, NUM_TAGS
from helpers.tiny import COLORS, tiny_model
from mmengine.config import ConfigDict
from mmengine.structures import LabelData, PixelData
from mmseg.structures import SegDataSample

from mmseg_wsss.registry import MODELS

SIZE = (33, 33)
# Tags of the images of each step; there is always one without any.
TAGS = (
    ((1, 4), (0,), ()),
    ((5, 2, 1), (), (3,)),
    ((0, 3), (2, 4), ()),
    ((4,), (0, 5), ()),
)
PADDING = (104, 116, 124)  # BGR
STRONG_VIEWS = ('unsup_strong', 'unsup_strong_0', 'unsup_strong_1')
PREDICT_ON = {
    'SupervisedSegmentor': ('student',),
    'MeanTeacherSegmentor': ('student', 'teacher'),
    'CPS': ('student1', 'student2', 'ensemble'),
    'FixMatch': ('student',),
    'UniMatch': ('student',),
    'UniMatchV2': ('student', 'teacher'),
    'MKD': ('student1', 'student2', 'teacher1', 'teacher2', 'ensemble'),
}
AUXILIARY_HEAD = {
    'type': 'FCNHead',
    'in_channels': 8,
    'in_index': 0,
    'channels': 8,
    'num_convs': 1,
    'concat_input': False,
    'num_classes': NUM_TAGS + 1,
    'align_corners': False,
}
ATTENTION_BACKBONE = {
    'type': 'AttentionMiT',
    'embed_dims': 8,
    'num_stages': 2,
    'num_layers': (1, 2),
    'num_heads': (1, 2),
    'patch_sizes': (7, 3),
    'strides': (4, 2),
    'sr_ratios': (2, 1),
    'out_indices': (0, 1),
    'qkv_bias': True,
    'drop_path_rate': 0.1,
}


@dataclass(frozen=True)
class Case:
    """A short training of a method.

    Args:
        method: Key of ``METHODS``.
        settings: Model settings over those of the method.
        hooks: Hooks by which time reaches the method; those of the method by default.
        iters: Iterations.
        fields: Further fields of the data samples: ``pseudo_label``, ``cam_seed`` or
            ``full_img``.
        double: Whether the model is turned into float64.
        detailed: Whether gradients and states are kept of every tensor, or of every
            part of the network.
    """

    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    hooks: Sequence[Mapping[str, Any]] | None = None
    iters: int = 2
    fields: Sequence[str] = ()
    double: bool = True
    detailed: bool = False


def cases() -> dict[str, Case]:
    """All cases by their names, ``METHOD`` or ``METHOD: OPTION``.

    The case of a method's name passes all of its phases.
    """
    found = {
        name: Case(name, iters=3 if method.semi else 4, detailed=True)
        for name, method in METHODS.items()
    }

    def add(method: str, option: str, iters: int = 2, **kwargs: Any) -> None:
        hooks = kwargs.pop('hooks', None)
        fields, double = kwargs.pop('fields', ()), kwargs.pop('double', True)
        if not METHODS[method].semi:
            hooks = (*_phase_hooks(method, hooks or ()), *(hooks or ()))
        found[f'{method}: {option}'] = Case(
            method, kwargs, hooks, iters, fields, double
        )

    def add_semi(method: str, option: str, iters: int = 2, **kwargs: Any) -> None:
        hooks = kwargs.pop('hooks', None)
        settings = {**METHODS[method].model['semi_train_cfg'], **kwargs}
        add(method, option, iters, semi_train_cfg=settings, hooks=hooks)

    no_background = {'decode_head': HEAD | {'num_classes': NUM_TAGS}}
    auxiliary = {'auxiliary_head': AUXILIARY_HEAD}
    valid_loss = {'loss_decode': {'type': 'ValidCrossEntropyLoss'}}
    auxiliary_of_labels = {'auxiliary_head': AUXILIARY_HEAD | valid_loss}

    add('CAM', 'no background', background=False)
    add('CAM', 'max pooling', cam_head=_cam_head(pooling='gmp', dropout_ratio=0.2))
    add('CAM', 'embedding', cam_head=_cam_head(embed_channels=12))

    add('RRM', 'no dense energy', dense_energy=None)
    add('RRM', 'no background', **no_background)
    add('RRM', 'seg_weight', seg_weight=0.5)
    add('RRM', 'reliable', reliable={'crf_thr': 0.5, 'min_cam': 0.2, 'bg_thr': 0.5})
    add('RRM', 'four scales, no dropout', train_cfg={'cam': {'dropout': False}})
    add('RRM', 'auxiliary head', **auxiliary_of_labels)
    add('RRM', 'padding', mask_padding=False)

    low = ({'type': 'PWMDistillationHook', 'mode': 'never'},)
    high = ({'type': 'PWMDistillationHook', 'mode': 'always', 'begin': 0},)
    add('ASDT', 'soft', distill_mode='soft', hooks=high)
    add('ASDT', 'tag_filter', tag_filter=True, hooks=high)
    add('ASDT', 'tag_filter, soft', tag_filter=True, distill_mode='soft', hooks=high)
    guide = {'crf_guide': 'resized_full', 'fields': ('full_img',)}
    add('ASDT', 'guide of the whole image', hooks=high, **guide)
    add('ASDT', 'no dense energy when high', distill_keep_dense=False, hooks=high)
    add('ASDT', 'weights', branch_weights=(0.3, 0.7), distill_weight=0.5, hooks=high)
    add('ASDT', 'never', hooks=low)
    add('ASDT', 'padding', mask_padding=False, hooks=high)
    for fuse in ('mean', 'student', 'teacher'):
        test_cfg = _test_cfg(fuse=fuse)
        add('ASDT', f'fuse {fuse}', hooks=low, iters=1, test_cfg=test_cfg)
    add('ASDT', 'auxiliary head', hooks=high, **auxiliary_of_labels)
    heads = {
        name: HEAD | {'num_classes': NUM_TAGS}
        for name in ('decode_head', 'teacher_head')
    }
    add('ASDT', 'no background', hooks=high, **heads)

    add('CAMSeg', 'no dense energy', dense_energy=None)
    add('CAMSeg', 'thresholds', high_thr=0.45, low_thr=0.25)
    plain = {'type': 'MultiScaleCAM', 'flip': True}
    paired = {'cam': {**plain, 'merge': 'max', 'scales': (0.5, 1.0)}}
    add('CAMSeg', 'not paired', train_cfg=paired)
    add('CAMSeg', 'normalized by the maximum', cam_normalization='max')

    walk = ({'type': 'AffinityLabelHook', 'begin': 1},)
    never = ({'type': 'AffinityLabelHook', 'begin': 100},)
    at_once = ({'type': 'AffinityLabelHook', 'begin': 0},)
    # Otherwise the walk of an affinity that is hardly trained leaves no object.
    faint = {'high_thr': 0.3, 'low_thr': 0.2}
    add('AFA', 'walk', hooks=at_once, **faint)
    add('AFA', 'walk, affinity_label', hooks=at_once, affinity_label='walk', **faint)
    add('AFA', 'no walk', hooks=never)
    sums = {**plain, 'merge': 'sum', 'scales': (1.0, 0.5, 1.5)}
    add('AFA', 'not paired', hooks=walk, train_cfg={'cam': sums})
    add('AFA', 'train_mode', hooks=walk, train_cfg={'cam': {'train_mode': True}})
    add('AFA', 'norm_eval', hooks=walk, backbone=_backbone(norm_eval=True))
    shorter = {'radius': 3, 'walk_scale': 1.0, 'refine_scale': 1.0}
    add('AFA', 'radius and scales', hooks=at_once, **faint, **shorter)
    add('AFA', 'thresholds', hooks=walk, high_thr=0.5, low_thr=0.3)
    add('AFA', 'VARM', refiner={'type': 'LocalAffinityRefiner', 'kind': 'varm'})
    attention = {
        'backbone': ATTENTION_BACKBONE,
        'cam_head': _cam_head(in_index=1),
        'decode_head': HEAD | {'in_index': 1},
        'affinity_head': {},
    }
    add('AFA', 'attention', hooks=walk, **attention)
    add('TSCD', 'attention', hooks=(), **attention)
    add('TSCD', 'er_mode off', er_mode='off')
    add('TSCD', 'er_mode grad, no correspondence', loss_scd=None)
    add('TSCD', 'valid_only', valid_only=True)
    add('TSCD', 'mask_by_label', mask_by_label=True)
    add('TSCD', 'train_mode', train_cfg={'cam': {'train_mode': True}})
    add('TSCD', 'train_align_corners', train_align_corners=True)
    add('TSCD', 'view_scale', view_scale=0.5, er_weight=0.3, n_points=50)

    teacher = METHODS['RCMMAM'].hooks[-1]
    main = (teacher,)
    later = ({'type': 'MultiScaleAttentionHook', 'begin': 100}, teacher)
    add('RCMMAM', 'memory_size 0', hooks=main, memory_size=0)
    add('RCMMAM', 'memory_size 2', hooks=main, memory_size=2, iters=3)
    add('RCMMAM', 'ignore_bg', hooks=main, ignore_bg=True)
    add('RCMMAM', 'mam_own_forward', hooks=main, mam_own_forward=True)
    add('RCMMAM', 'mam_normalize', hooks=main, mam_normalize=True)
    add('RCMMAM', 'padding is background', hooks=main, mask_padding=False)
    add('RCMMAM', 'mam_ratio', hooks=main, mam_ratio=0.5)
    add('RCMMAM', 'RCM alone', hooks=later)
    anew = {'type': 'MultiScaleAttentionHook', 'begin': 1, 'restart_support': True}
    add('RCMMAM', 'restart_support', hooks=(anew, teacher))
    no_rcm = {'type': 'RegionalContrastiveLoss', 'loss_weight': 0.0}
    no_mam = {'type': 'MultiScaleAttentiveLoss', 'loss_weight': 0.0}
    add('RCMMAM', 'MAM alone', hooks=main, loss_rcm=no_rcm)
    add('RCMMAM', 'neither', hooks=main, loss_rcm=no_rcm, loss_mam=no_mam)
    add('RCMMAM', 'embedding', hooks=main, cam_head=_cam_head(embed_channels=12))
    add('RCMMAM', 'region_thr', hooks=main, region_thr=0.6, main_scales=(1.0,))

    for kind in ('AffinityNet', 'IRNet'):
        add(kind, 'pseudo-label', fields=('pseudo_label',))
        # The walk of a seed takes float32 alone.
        add(kind, 'seed', iters=1, fields=('cam_seed',), double=False)
        cam = {'scales': (0.5, 1.0), 'flip': True, 'merge': 'sum'}
        add(kind, 'two scales', iters=1, train_cfg={'cam': cam}, alphas=(2.0, 8.0))
    add('AffinityNet', 'no CRF after the walk', iters=1, crf_iters=0)
    add('AffinityNet', 'walk_alpha', iters=1, walk_alpha=4.0)
    add('IRNet', 'CRF after the walk', iters=1, crf_iters=1)
    add('IRNet', 'bg_thr', iters=1, bg_thr=0.5)

    # A mean of two networks that are far from each other is sure of nothing.
    slow = ({'type': 'MeanTeacherHook', 'decay': 0.95, 'schedule': 'constant'},)
    add('SupervisedSegmentor', 'auxiliary head', **auxiliary)
    add_semi('SupervisedSegmentor', 'sup_weight', sup_weight=0.5)
    add_semi('MeanTeacherSegmentor', 'no CutMix', cutmix=None)
    add_semi('MeanTeacherSegmentor', 'threshold', pseudo_thr=0.4, hooks=slow)
    add_semi('MeanTeacherSegmentor', 'padding', mask_padding=False)
    add_semi('MeanTeacherSegmentor', 'weights', unsup_weight=0.3, sup_weight=0.7)
    add_semi('MeanTeacherSegmentor', 'teacher in train mode', teacher_mode='train')
    for schedule in ('linear', 'cosine', 'constant'):
        hook = {'type': 'MeanTeacherHook', 'decay': 0.9, 'schedule': schedule}
        add('MeanTeacherSegmentor', f'{schedule} decay', 3, hooks=(hook,))
    add_semi('CPS', 'no CutMix', cutmix=None)
    add_semi('CPS', 'padding', mask_padding=False)
    add_semi('CPS', 'no CutMix, padding', cutmix=None, mask_padding=False)
    add_semi('CPS', 'cps_weight', cps_weight=1.5)
    for kind in ('FixMatch', 'UniMatch', 'UniMatchV2'):
        hooks = slow if kind == 'UniMatchV2' else None
        add_semi(kind, 'threshold', pseudo_thr=0.4, hooks=hooks)
        add_semi(kind, 'no CutMix', cutmix=None)
    add_semi('UniMatch', 'fp_dropout', fp_dropout=0.2, fp_weight=0.5)
    add_semi('UniMatchV2', 'drop_prob', drop_prob=1.0)

    isda = {'end_ratio': 1.5, 'schedule': 'cosine', 'networks': PREDICT_ON['MKD'][:4]}
    isda['max_count'] = None
    add_semi('MKD', 'no ISDA', isda=None)
    add_semi('MKD', 'line', 3, isda=isda | {'schedule': 'linear'})
    add_semi(
        'MKD', 'ISDA of students', isda=isda | {'networks': ('student1', 'student2')}
    )
    add_semi('MKD', 'max_count', 3, isda=isda | {'max_count': 20})
    add_semi('MKD', 'threshold of teachers', pseudo_thr_teacher=0.95, hooks=slow)
    thresholds = {'pseudo_thr_teacher': 0.6, 'pseudo_thr_student': 0.4}
    add_semi('MKD', 'thresholds', hooks=slow, **thresholds)
    add_semi('MKD', 'mean_over', hooks=slow, mean_over='valid', **thresholds)
    add_semi('MKD', 'teachers in train mode', teacher_mode='train')
    add_semi('MKD', 'concat_forward', concat_forward=True)
    both = {'concat_forward': True, 'teacher_mode': 'train'}
    add_semi('MKD', 'concat_forward, teachers in train mode', **both)
    add_semi('MKD', 'semi_on_labeled', semi_on_labeled=False)
    add_semi('MKD', 'labels_from raw', labels_from='raw')
    add_semi('MKD', 'no CutMix', cutmix=None)
    add_semi('MKD', 'padding', mask_padding=False)
    add_semi('MKD', 'loss_scale_factor', loss_scale_factor=1.0)
    add_semi('MKD', 'weights', teacher_weight=0.7, student_weight=0.4)
    add('MKD', 'auxiliary head', **auxiliary)
    hook = {'decay': {'teacher1': 0.9, 'teacher2': 0.5}, 'type': 'MeanTeacherHook'}
    add('MKD', 'a decay of each teacher', 3, hooks=(hook,))
    return found


def _phase_hooks(method: str, hooks: Sequence[Mapping[str, Any]]) -> list[dict]:
    """Hooks of the phases that the hooks of a case leave out."""
    others = {
        'AFA': [{'type': 'AffinityLabelHook', 'begin': 100}],
        'RCMMAM': [{'type': 'MultiScaleAttentionHook', 'begin': 0}],
    }
    missing = [{'type': 'WeakWarmupHook', 'iters': 0}, *others.get(method, [])]
    given = {hook['type'] for hook in hooks}
    if method == 'CAM':
        return []
    return [hook for hook in missing if hook['type'] not in given]


def _cam_head(**settings: Any) -> dict:
    return tiny_model('CAM')['cam_head'] | settings


def _backbone(**settings: Any) -> dict:
    return tiny_model('CAM')['backbone'] | settings


def _test_cfg(**settings: Any) -> dict:
    return tiny_model('CAM')['test_cfg'] | settings


# Hidden layers of at least eight channels, wider than in the battery.
_WIDER = {
    'AffinityNet': {'channels': (8, 8)},
    'IRNet': {'channels': 8},
    'AFA': {'num_heads': 8},
    'TSCD': {'num_heads': 8},
}


def build(case: Case) -> torch.nn.Module:
    """Build the model of a case."""
    settings = dict(case.settings)
    if case.method in _WIDER and 'affinity_head' not in settings:
        head = METHODS[case.method].model['affinity_head']
        settings['affinity_head'] = {**head, **_WIDER[case.method]}
    cfg = tiny_model(case.method, **settings)
    model = MODELS.build(ConfigDict(cfg))
    model.init_weights = lambda: None  # fill() does it
    return model.double() if case.double else model


def batch(case: Case, step: int) -> dict:
    """Raw batch of a step, as a data loader gives it."""
    if not METHODS[case.method].semi:
        parts = [_image(step, i, case.fields) for i in range(len(TAGS[step]))]
        return {
            'inputs': [img for img, _ in parts],
            'data_samples': [sample for _, sample in parts],
        }
    data: dict = {'inputs': {}, 'data_samples': {}}
    images = [_image(step, i, ('gt_sem_seg',)) for i in range(2)]
    unlabeled = [_image(step + 10, i, ()) for i in range(2)]
    rng = np.random.default_rng((step, 1))
    for view in ('sup', 'unsup_weak', *STRONG_VIEWS):
        part = images if view == 'sup' else unlabeled
        inputs = [img for img, _ in part]
        if view in STRONG_VIEWS:
            inputs = [
                _as_image(img.numpy() * 0.8 + rng.integers(-20, 41, img.shape))
                for img in inputs
            ]
        data['inputs'][view] = inputs
        data['data_samples'][view] = [deepcopy(sample) for _, sample in part]
    return data


def _as_image(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.round().clip(0, 255).astype(np.uint8))


def _image(
    step: int, index: int, fields: Sequence[str]
) -> tuple[torch.Tensor, SegDataSample]:
    """An image (3, H, W) uint8 with a square of each tag, and its data sample.

    The second image has padding, and the first one in the third step; the last one has
    no map of it.
    """
    rng = np.random.default_rng((step, index))
    tags = TAGS[step % len(TAGS)][index]
    mask = np.zeros(SIZE, np.int64)
    for k in tags:
        row, col = rng.integers((0, 0), (SIZE[0] - 14, SIZE[1] - 14))
        mask[row : row + 14, col : col + 14] = k + 1
    img = (COLORS[mask] + rng.integers(-30, 31, (*SIZE, 3))).clip(0, 255)
    valid = np.ones(SIZE, bool)
    if index == 1:
        valid[25:], valid[:, :5] = False, False
    elif index == 0 and step % 10 == 2:
        valid[:9] = False
    img = img[..., ::-1].copy()  # BGR
    img[~valid] = PADDING
    original = SIZE if index == 0 else (41, 37)
    meta = {'img_path': f'{index}.png', 'img_shape': SIZE, 'ori_shape': original}
    sample = SegDataSample(metainfo=meta)
    label = torch.zeros(NUM_TAGS)
    label[list(tags)] = 1
    sample.gt_tags = LabelData(label=label)
    if index < 2:
        sample.valid_map = PixelData(data=torch.from_numpy(valid)[None])
    if 'gt_sem_seg' in fields:
        truth = np.where(valid, mask, 255)
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(truth)[None])
    if 'pseudo_label' in fields:
        unsure = rng.random(SIZE) < 0.3
        sure = torch.from_numpy(np.where(unsure, 255, mask))[None]
        sample.pseudo_label = PixelData(data=sure)
    if 'full_img' in fields:
        other = rng.integers(0, 256, (3, 7, 7)).repeat(5, 1).repeat(5, 2)
        sample.full_img = PixelData(data=_as_image(other[:, : SIZE[0], : SIZE[1]]))
    if 'cam_seed' in fields:
        soft = rng.random((NUM_TAGS + 1, *original)).astype(np.float32)
        sample.cam_seed = PixelData(data=torch.from_numpy(soft))
    return _as_image(img.transpose(2, 0, 1)), sample
