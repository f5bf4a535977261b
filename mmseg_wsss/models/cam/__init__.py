"""Extraction of class activation maps: one class per way of merging scales."""

from .build import CAMExtractor, build_cam
from .multi_scale import MultiScaleCAM
from .network import CAMNetwork, Feats, forward_in_parts, reusable_feats
from .paired import PairedCAM

__all__ = [
    'CAMExtractor',
    'CAMNetwork',
    'Feats',
    'MultiScaleCAM',
    'PairedCAM',
    'build_cam',
    'forward_in_parts',
    'reusable_feats',
]
