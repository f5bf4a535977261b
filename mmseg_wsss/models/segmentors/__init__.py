"""One method per file: ``weak`` from image tags, ``semi`` from a few masks."""

from .semi import (
    CPS,
    MKD,
    FixMatch,
    MeanTeacherSegmentor,
    SemiBaseSegmentor,
    SupervisedSegmentor,
    UniMatch,
    UniMatchV2,
)
from .weak import (
    AFA,
    ASDT,
    RCMMAM,
    RRM,
    TSCD,
    AffinityNet,
    CAMSeg,
    IRNet,
    WSSSBase,
)

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
    'SupervisedSegmentor',
    'UniMatch',
    'UniMatchV2',
    'WSSSBase',
]
