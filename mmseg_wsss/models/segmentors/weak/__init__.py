"""Segmentors trained from image tags."""

from .afa import AFA
from .affinity_net import AffinityNet
from .asdt import ASDT
from .cam_seg import CAMSeg
from .irnet import IRNet
from .rcm_mam import RCMMAM
from .rrm import RRM
from .tscd import TSCD
from .wsss_base import WSSSBase

__all__ = [
    'AFA',
    'ASDT',
    'RCMMAM',
    'RRM',
    'TSCD',
    'AffinityNet',
    'CAMSeg',
    'IRNet',
    'WSSSBase',
]
