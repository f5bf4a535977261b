"""Maps in, label maps out: pure functions without a gradient."""

from .cam import (
    background_score,
    box_mask,
    cam_to_label,
    merge_cams,
    normalize_cam,
)
from .reliable import reliable_labels
from .tags import present_classes, tag_filter

__all__ = [
    'background_score',
    'box_mask',
    'cam_to_label',
    'merge_cams',
    'normalize_cam',
    'present_classes',
    'reliable_labels',
    'tag_filter',
]
