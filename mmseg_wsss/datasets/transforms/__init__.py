from .keep_full_image import KeepFullImage
from .load_annotations_strict import LoadAnnotationsStrict
from .load_image_strict import LoadImageStrict
from .load_pseudo_label import LoadPseudoLabel
from .pack_weak_inputs import PackWeakInputs
from .random_crop_pad import RandomCropPad
from .random_rescale import RandomRescale
from .semi_color_jitter import SemiColorJitter
from .semi_equalize import SemiEqualize
from .semi_gaussian_blur import SemiGaussianBlur
from .semi_multi_branch import SemiMultiBranch
from .semi_photo_metric_distortion import SemiPhotoMetricDistortion
from .semi_solarize import SemiSolarize
from .semi_to_gray import SemiToGray
from .weighted_choice import WeightedChoice

__all__ = [
    'KeepFullImage',
    'LoadAnnotationsStrict',
    'LoadImageStrict',
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
