"""Heads that mmseg lacks."""

from .attention_affinity_head import AttentionAffinityHead
from .cam_head import CAMHead
from .fused_head import FusedHead, fuse_probabilities
from .head_losses import auxiliary_losses, head_losses, unchanged
from .inter_pixel_head import InterPixelHead
from .large_fov_head import LargeFOVHead
from .pixel_affinity_head import PixelAffinityHead
from .segformer_mlp_head import SegFormerMLPHead

__all__ = [
    'AttentionAffinityHead',
    'CAMHead',
    'FusedHead',
    'InterPixelHead',
    'LargeFOVHead',
    'PixelAffinityHead',
    'SegFormerMLPHead',
    'auxiliary_losses',
    'fuse_probabilities',
    'head_losses',
    'unchanged',
]
