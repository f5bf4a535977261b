from .keep_full_image import KeepFullPicture
from .load_annotations_strict import LoadLabelMap
from .load_image_strict import LoadPicture
from .load_pseudo_label import LoadPseudoLabel
from .pack_weak_inputs import PackWeakInputs
from .random_crop_pad import RandomCropPad
from .random_rescale import RandomRescale
from .semi_multi_branch import SemiMultiBranch
from .strong_color import (
    SemiColorJitter,
    SemiEqualize,
    SemiGaussianBlur,
    SemiPhotoMetricDistortion,
    SemiSolarize,
    SemiToGray,
    WeightedChoice,
)

__all__ = [
    'KeepFullPicture',
    'LoadLabelMap',
    'LoadPicture',
    'LoadPseudoLabel',
    'PackWeakInputs',
    'RandomCropPad',
    'RandomRescale',
    'SemiColorJitter',
    'SemiEqualize',
    'SemiGaussianBlur',
    'SemiMultiBranch',
    'SemiPhotoMetricDistortion',
    'SemiSolarize',
    'SemiToGray',
    'WeightedChoice',
]
