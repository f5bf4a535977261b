"""Segmentors trained from image tags."""

from .afa import AFA
from .affinity_net import AffinityNet
from .asdt import ASDT
from .base_classifier import WeakClassifier
from .base_segmentor import WeakSegmentor
from .cam import CAM
from .cam_seg import CAMSeg
from .irnet import IRNet
from .parts.inference_context import InferenceContext
from .parts.samples import denormalize, given_or_made, stack_tags
from .rcm_mam import RCMMAM
from .rrm import RRM
from .tscd import TSCD

__all__ = [
    'AFA',
    'ASDT',
    'CAM',
    'RCMMAM',
    'RRM',
    'TSCD',
    'AffinityNet',
    'CAMSeg',
    'IRNet',
    'InferenceContext',
    'WeakClassifier',
    'WeakSegmentor',
    'denormalize',
    'given_or_made',
    'stack_tags',
]
