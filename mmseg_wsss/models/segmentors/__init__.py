from .afa import AFA
from .asdt import ASDT
from .mean_teacher import MeanTeacherSegmentor
from .mkd import MKD
from .rrm import RRM
from .semi_base import SemiBaseSegmentor
from .tscd import TSCD
from .wsss_base import WSSSBase
from .wsss_tta import WSSSTTAModel

__all__ = [
    'ASDT',
    'MKD',
    'MeanTeacherSegmentor',
    'RRM',
    'SemiBaseSegmentor',
    'WSSSBase',
    'WSSSTTAModel',
]
