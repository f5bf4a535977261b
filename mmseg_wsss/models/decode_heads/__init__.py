"""Heads that mmseg lacks."""

from .attention_affinity_head import AttentionAffinityHead
from .cam_head import CAMHead
from .inter_pixel_head import InterPixelHead
from .large_fov_head import LargeFOVHead
from .pixel_affinity_head import PixelAffinityHead
from .segformer_mlp_head import SegFormerMLPHead

__all__ = [
    'AttentionAffinityHead',
    'CAMHead',
    'InterPixelHead',
    'LargeFOVHead',
    'PixelAffinityHead',
    'SegFormerMLPHead',
]
