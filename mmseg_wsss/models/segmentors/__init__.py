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
    CAM,
    RCMMAM,
    RRM,
    TSCD,
    AffinityNet,
    CAMSeg,
    IRNet,
    WeakClassifier,
    WeakSegmentor,
)

__all__ = [
    'AFA',
    'ASDT',
    'CAM',
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
    'WeakClassifier',
    'WeakSegmentor',
]
