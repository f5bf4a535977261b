"""Pseudo-labels: pure functions from maps to label maps, without a gradient."""

from .affinity import affinity_labels
from .cam import (
    MERGES,
    NORMALIZATIONS,
    background_score,
    cam_to_label,
    merge_cams,
    normalize_cam,
)
from .fused import fuse_cam
from .regions import leave_one_out, region_labels, regional_prototypes
from .reliable import reliable_labels
from .tagged import (
    all_channels,
    merge_backgrounds,
    random_walk,
    refine_inside,
    refine_probs,
    strongest_labels,
    tagged_probs,
)
from .tags import hard_label, keep_tagged, present_classes, tag_filter
from .votes import vote_regions

__all__ = [
    'MERGES',
    'NORMALIZATIONS',
    'affinity_labels',
    'all_channels',
    'background_score',
    'cam_to_label',
    'fuse_cam',
    'hard_label',
    'keep_tagged',
    'leave_one_out',
    'merge_backgrounds',
    'merge_cams',
    'normalize_cam',
    'present_classes',
    'random_walk',
    'refine_inside',
    'refine_probs',
    'region_labels',
    'regional_prototypes',
    'reliable_labels',
    'strongest_labels',
    'tag_filter',
    'tagged_probs',
    'vote_regions',
]
