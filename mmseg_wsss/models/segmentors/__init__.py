from .afa import AFA
from .affinity_net import AffinityNet
from .asdt import ASDT
from .cam_seg import CAMSeg
from .cps import CPS
from .irnet import IRNet
from .mean_teacher import MeanTeacherSegmentor
from .mkd import MKD
from .rcm_mam import RCMMAM
from .rrm import RRM
from .semi_base import SemiBaseSegmentor
from .tscd import TSCD
from .unimatch import FixMatch, UniMatch, UniMatchV2
from .wsss_base import WSSSBase
from .wsss_tta import WSSSTTAModel

__all__ = [
    'AFA',
    'ASDT',
    'CPS',
    'MKD',
    'RCMMAM',
    'RRM',
    'TSCD',
    'AffinityNet',
    'CAMSeg',
    'FixMatch',
    'IRNet',
    'MeanTeacherSegmentor',
    'SemiBaseSegmentor',
    'UniMatch',
    'UniMatchV2',
    'WSSSBase',
    'WSSSTTAModel',
]
