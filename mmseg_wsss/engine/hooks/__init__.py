from .affinity_label_hook import AffinityLabelHook
from .atomic_checkpoint_hook import AtomicCheckpointHook
from .deterministic_warn_hook import DeterministicWarnHook
from .efficient_conv_hook import EfficientConvHook
from .iteration_seed_hook import IterationSeedHook
from .mean_teacher_hook import MeanTeacherHook
from .multi_scale_attention_hook import MultiScaleAttentionHook
from .non_finite_loss_hook import NonFiniteLossHook
from .progress_bar_hook import ProgressBarHook
from .pseudo_label_visualization_hook import PseudoLabelVisualizationHook
from .pwm_distillation_hook import PWMDistillationHook
from .startup_check_hook import StartupCheckHook
from .weak_warmup_hook import WeakWarmupHook

__all__ = [
    'AffinityLabelHook',
    'AtomicCheckpointHook',
    'DeterministicWarnHook',
    'EfficientConvHook',
    'IterationSeedHook',
    'MeanTeacherHook',
    'MultiScaleAttentionHook',
    'NonFiniteLossHook',
    'PWMDistillationHook',
    'ProgressBarHook',
    'PseudoLabelVisualizationHook',
    'StartupCheckHook',
    'WeakWarmupHook',
]
