"""Small parts that several models use."""

from .behaviour import inference_behaviour
from .compiled_ops import ops_available, require_ops
from .ema import update_ema
from .isda import ImplicitSemanticAugmentation
from .mix import cutmix_masks, mix
from .near_pairs import near_pairs
from .precision import at_least_float32
from .pwm import pwm_signal
from .state_files import check_state, read_state_dict
from .unwrap import unwrap
from .valid_map import valid_maps

__all__ = [
    'ImplicitSemanticAugmentation',
    'at_least_float32',
    'check_state',
    'cutmix_masks',
    'inference_behaviour',
    'mix',
    'near_pairs',
    'ops_available',
    'pwm_signal',
    'read_state_dict',
    'require_ops',
    'unwrap',
    'update_ema',
    'valid_maps',
]
