"""Every method of the package on the tiny network, for the method battery."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TAG_NAMES = ('red', 'green', 'yellow', 'blue', 'pink', 'cyan')
NUM_TAGS = len(TAG_NAMES)


@dataclass(frozen=True)
class Method:
    """A method on the tiny network.

    Args:
        model: Model settings over those of :func:`.tiny.tiny_model`.
        hooks: Hooks by which time reaches the method; within four iterations it shall
            have been in all of its phases.
        phases: Attributes of the segmentor in each phase, as the hooks set them.
        nothing_sure: Model settings under which no pixel gets a pseudo-label; empty if
            no setting does that.
        pseudo_sources: Pseudo-labels that it provides.
        semi: Whether it is semi-supervised: ``model`` has no network of its own, and a
            batch has branches.
    """

    model: Mapping[str, Any]
    hooks: Sequence[Mapping[str, Any]] = ()
    phases: Sequence[Mapping[str, Any]] = ({},)
    nothing_sure: Mapping[str, Any] = field(default_factory=dict)
    pseudo_sources: Sequence[str] = ('cam', 'prediction')
    semi: bool = False

    @property
    def classifier(self) -> bool:
        """Whether it has no decode head."""
        return self.model['type'] in ('CAM', 'RCMMAM', 'AffinityNet', 'IRNet')


def _semi(
    kind: str,
    decay: float | None = None,
    nothing_sure: dict[str, float] | None = None,
    **settings: Any,
) -> Method:
    """A semi-supervised method; ``decay`` is that of its teachers, if it has any."""
    hook = {'type': 'MeanTeacherHook', 'decay': decay}
    model = {'type': kind, 'semi_train_cfg': settings}
    unsure = {'semi_train_cfg': settings | nothing_sure} if nothing_sure else {}
    return Method(
        model,
        hooks=() if decay is None else (hook,),
        phases=({'progress': 0.5},),
        nothing_sure=unsure,
        semi=True,
    )


BACKBONE = {
    'type': 'ResNetV1c',
    'depth': 18,
    'base_channels': 8,
    'stem_channels': 8,
    'num_stages': 2,
    'strides': (1, 2),
    'dilations': (1, 1),
    'out_indices': (0, 1),
    'norm_cfg': {'type': 'BN'},
    'zero_init_residual': False,
}
HEAD = {
    'type': 'LargeFOVHead',
    'in_channels': 16,
    'channels': 8,
    'dilation': 2,
    'dropout_ratio': 0.2,
    'num_classes': NUM_TAGS + 1,
    'align_corners': False,
}
FCN_HEAD = {
    'type': 'FCNHead',
    'in_channels': 16,
    'in_index': 1,
    'channels': 8,
    'num_convs': 1,
    'concat_input': False,
    'dropout_ratio': 0.2,
    'num_classes': NUM_TAGS + 1,
    'align_corners': False,
    'loss_decode': {'type': 'ValidCrossEntropyLoss'},
}
CRF = {'type': 'DenseCRF', 'num_iters': 2}
WARMUP = {'type': 'WeakWarmupHook', 'iters': 1}
SPARSE_LABEL = {
    'crf': CRF,
    'dense_energy': {'weight': 1e-4},
    'train_cfg': {'cam': {'scales': (1.0, 0.5), 'dropout': True}},
}
LOCAL_LABEL = {
    'affinity_head': {'in_channels': 16, 'num_heads': 2, 'embed_channels': 8},
    'dense_energy': {'weight': 1e-4},
}
LOCAL_SOURCES = (
    'cam',
    'fused_cam',
    'prediction',
    'cam_refined',
    'merged',
    'affinity',
)
NO_SCORE_WINS = {'high_thr': 1.0, 'low_thr': -1e3}
NOTHING_SURE = {'reliable': {'crf_thr': 1.1}}

# Each method of the package, for the method battery (tests/integration/reliability).
METHODS = {
    'CAM': Method({'type': 'CAM'}),
    'RRM': Method(
        {'type': 'RRM', **SPARSE_LABEL},
        hooks=(WARMUP,),
        phases=({'warmup': True}, {'warmup': False}),
        nothing_sure=NOTHING_SURE,
        pseudo_sources=('cam', 'fused_cam', 'prediction', 'cam_crf', 'teacher_a'),
    ),
    'CAMSeg': Method(
        {'type': 'CAMSeg', 'dense_energy': {'weight': 1e-4}},
        hooks=(WARMUP,),
        phases=({'warmup': True}, {'warmup': False}),
        nothing_sure={'high_thr': 1.0, 'low_thr': -1.0},
        pseudo_sources=('cam', 'fused_cam', 'prediction', 'merged'),
    ),
    'AFA': Method(
        {'type': 'AFA', **LOCAL_LABEL},
        hooks=(WARMUP, {'type': 'AffinityLabelHook', 'begin': 2}),
        phases=(
            {'warmup': True, 'use_affinity': False},
            {'warmup': False, 'use_affinity': False},
            {'warmup': False, 'use_affinity': True},
        ),
        nothing_sure=NO_SCORE_WINS,
        pseudo_sources=LOCAL_SOURCES,
    ),
    'TSCD': Method(
        {'type': 'TSCD', **LOCAL_LABEL, 'n_points': 30, 'er_mode': 'grad'},
        hooks=(WARMUP,),
        phases=({'warmup': True}, {'warmup': False}),
        nothing_sure=NO_SCORE_WINS,
        pseudo_sources=LOCAL_SOURCES,
    ),
    'ASDT': Method(
        {'type': 'ASDT', **SPARSE_LABEL, 'teacher_head': HEAD, 'crf_b': CRF},
        hooks=(
            WARMUP,
            {'type': 'PWMDistillationHook', 'period': 2, 'divisor': 2, 'begin': 0},
        ),
        phases=(
            {'warmup': True, 'pwm_high': False},
            {'warmup': False, 'pwm_high': False},
            {'warmup': False, 'pwm_high': True},
        ),
        nothing_sure=NOTHING_SURE,
        pseudo_sources=(
            'cam',
            'fused_cam',
            'prediction',
            'cam_crf',
            'teacher_a',
            'teacher_b',
            'fused',
        ),
    ),
    'RCMMAM': Method(
        {
            'type': 'RCMMAM',
            # Two images of one process are one of each of two.
            'mam_ratio': 1.0,
            'mask_padding': True,
            'main_scales': (0.5, 1.0),
            'support_scales': (0.5, 1.0),
        },
        hooks=(
            WARMUP,
            {'type': 'MultiScaleAttentionHook', 'begin': 2},
            {'type': 'MeanTeacherHook', 'decay': 0.9, 'schedule': 'constant'},
        ),
        phases=(
            {'warmup': True, 'use_mam': False, 'progress': 0.5},
            {'warmup': False, 'use_mam': False, 'progress': 0.5},
            {'warmup': False, 'use_mam': True, 'progress': 0.5},
        ),
        nothing_sure={'region_thr': 2.0, 'ignore_bg': True},
        pseudo_sources=('cam', 'prediction', 'region'),
    ),
    'AffinityNet': Method(
        {
            'type': 'AffinityNet',
            'affinity_head': {
                'in_channels': (8, 16),
                'channels': (4, 8),
                'in_index': (0, 1),
            },
            'walk': {'radius': 3, 'steps': 4},
            'crf': {'num_iters': 2},
        },
        hooks=(WARMUP,),
        phases=({'warmup': True}, {'warmup': False}),
        pseudo_sources=('cam', 'prediction', 'affinity'),
    ),
    'IRNet': Method(
        {
            'type': 'IRNet',
            'affinity_head': {
                'in_channels': (8, 16),
                'channels': 4,
                'in_index': (0, 1),
                'num_groups': 2,
            },
            'walk': {'radius': 3, 'steps': 4},
            'crf': {'num_iters': 2},
        },
        hooks=(WARMUP,),
        phases=({'warmup': True}, {'warmup': False}),
        pseudo_sources=('cam', 'prediction', 'affinity'),
    ),
    'SupervisedSegmentor': _semi('SupervisedSegmentor'),
    'MeanTeacherSegmentor': _semi(
        'MeanTeacherSegmentor', 0.9, {'pseudo_thr': 1.0}, cutmix={'num_boxes': 2}
    ),
    'CPS': _semi('CPS'),
    'FixMatch': _semi('FixMatch', None, {'pseudo_thr': 1.0}, pseudo_thr=0.1),
    'UniMatch': _semi('UniMatch', None, {'pseudo_thr': 1.0}, pseudo_thr=0.1),
    'UniMatchV2': _semi('UniMatchV2', 0.9, {'pseudo_thr': 1.0}, pseudo_thr=0.1),
    'MKD': _semi('MKD', 0.6, {'pseudo_thr_teacher': 1.0, 'pseudo_thr_student': 1.0}),
}
WEAK = [name for name, method in METHODS.items() if not method.semi]
SEMI = [name for name, method in METHODS.items() if method.semi]
# Settings without which a forward of a semi-supervised method is not random.
NOT_RANDOM = {'cutmix': None, 'fp_dropout': 0.0, 'drop_prob': 0.0}
