"""Segmentors trained from a few masks and unlabeled images."""

from .cps import CPS
from .mean_teacher import MeanTeacherSegmentor
from .mkd import MKD
from .semi_base import SemiBaseSegmentor
from .unimatch import FixMatch, UniMatch, UniMatchV2

__all__ = [
    'CPS',
    'MKD',
    'FixMatch',
    'MeanTeacherSegmentor',
    'SemiBaseSegmentor',
    'UniMatch',
    'UniMatchV2',
]
