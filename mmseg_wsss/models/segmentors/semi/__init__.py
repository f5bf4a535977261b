"""Segmentors trained from a few masks and unlabeled images."""

from .cps import CPS
from .fixmatch import FixMatch
from .mean_teacher import MeanTeacherSegmentor
from .mkd import MKD
from .semi_base import SemiBaseSegmentor
from .supervised import SupervisedSegmentor
from .unimatch import UniMatch
from .unimatch_v2 import UniMatchV2

__all__ = [
    'CPS',
    'MKD',
    'FixMatch',
    'MeanTeacherSegmentor',
    'SemiBaseSegmentor',
    'SupervisedSegmentor',
    'UniMatch',
    'UniMatchV2',
]
