"""Small parts that several models use."""

from .behaviour import inference_behaviour
from .compiled_ops import ops_available, require_ops
from .ema import update_ema
from .isda import ImplicitSemanticAugmentation
from .mix import cutmix_masks, mix
from .precision import at_least_float32
from .pwm import pwm_signal
from .unwrap import unwrap

__all__ = [
    'ImplicitSemanticAugmentation',
    'at_least_float32',
    'cutmix_masks',
    'inference_behaviour',
    'mix',
    'ops_available',
    'pwm_signal',
    'require_ops',
    'unwrap',
    'update_ema',
]
