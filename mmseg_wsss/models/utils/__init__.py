"""Small parts that several models use."""

from .boxes import bounding_boxes, extents, inside_boxes, resize_boxes
from .channel_argmax import channel_argmax
from .chunks import chunk_rows
from .class_scores import check_class_scores
from .compiled_ops import ops_available, require_ops
from .constants import constant, made_once
from .cutmix import CutMixSettings, cutmix_masks, draw_masks, mix
from .ema import update_ema
from .eval_mode import eval_mode, matches_eval_mode
from .isda import ImplicitSemanticAugmentation, sum_over_ranks
from .near_pairs import near_pairs
from .opaque import opaque
from .phase import Phase, phases_of
from .pixel_pairs import (
    boundary_affinity,
    half_disk,
    pair_affinity,
    partners,
    windows,
)
from .pooled_batch_norm import has_pooled_batch_norm
from .precision import at_least_float32, log_probability
from .prototype_memory import PrototypeMemory
from .pwm import pwm_signal
from .resize import rescale, resize, resize_labels, scaled_size
from .resized_features import (
    interpolation_matrices,
    inverse_length,
    neighbor_products,
    resized_squares,
)
from .space_to_batch import SpaceToBatchConv2d
from .state_files import check_state, read_state_dict
from .unused_settings import check_unused
from .unwrap import unwrap
from .valid_map import valid_maps
from .zero_loss import zero_loss

__all__ = [
    'CutMixSettings',
    'ImplicitSemanticAugmentation',
    'Phase',
    'PrototypeMemory',
    'SpaceToBatchConv2d',
    'at_least_float32',
    'boundary_affinity',
    'bounding_boxes',
    'channel_argmax',
    'check_class_scores',
    'check_state',
    'check_unused',
    'chunk_rows',
    'constant',
    'cutmix_masks',
    'draw_masks',
    'eval_mode',
    'extents',
    'half_disk',
    'has_pooled_batch_norm',
    'inside_boxes',
    'interpolation_matrices',
    'inverse_length',
    'log_probability',
    'made_once',
    'matches_eval_mode',
    'mix',
    'near_pairs',
    'neighbor_products',
    'opaque',
    'ops_available',
    'pair_affinity',
    'partners',
    'phases_of',
    'pwm_signal',
    'read_state_dict',
    'require_ops',
    'rescale',
    'resize',
    'resize_boxes',
    'resize_labels',
    'resized_squares',
    'scaled_size',
    'sum_over_ranks',
    'unwrap',
    'update_ema',
    'valid_maps',
    'windows',
    'zero_loss',
]
