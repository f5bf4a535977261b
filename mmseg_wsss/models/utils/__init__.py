"""Small parts that several models use."""

from .compiled_ops import ops_available, require_ops
from .cutmix import cutmix_masks, mix
from .ema import update_ema
from .eval_mode import acts_as_in_inference, inference_behaviour
from .isda import ImplicitSemanticAugmentation
from .near_pairs import near_pairs
from .pixel_pairs import (
    boundary_affinity,
    half_disk,
    pair_affinity,
    partners,
    windows,
)
from .precision import at_least_float32
from .prototype_memory import PrototypeMemory
from .pwm import pwm_signal
from .resized_features import (
    interpolation_matrices,
    inverse_length,
    neighbour_products,
    resized_squares,
)
from .state_files import check_state, read_state_dict
from .unwrap import unwrap
from .valid_map import valid_maps

__all__ = [
    'ImplicitSemanticAugmentation',
    'PrototypeMemory',
    'acts_as_in_inference',
    'at_least_float32',
    'boundary_affinity',
    'check_state',
    'cutmix_masks',
    'half_disk',
    'inference_behaviour',
    'interpolation_matrices',
    'inverse_length',
    'mix',
    'near_pairs',
    'neighbour_products',
    'ops_available',
    'pair_affinity',
    'partners',
    'pwm_signal',
    'read_state_dict',
    'require_ops',
    'resized_squares',
    'unwrap',
    'update_ema',
    'valid_maps',
    'windows',
]
