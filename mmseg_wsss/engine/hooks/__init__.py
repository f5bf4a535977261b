from .iteration_seed_hook import IterationSeedHook
from .non_finite_loss_hook import NonFiniteLossHook
from .pwm_distillation_hook import PWMDistillationHook
from .weak_warmup_hook import WeakWarmupHook

__all__ = [
    'IterationSeedHook',
    'NonFiniteLossHook',
    'PWMDistillationHook',
    'WeakWarmupHook',
]
