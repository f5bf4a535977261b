from .keep_full_picture import KeepFullPicture
from .pack_weak_inputs import PackWeakInputs
from .random_crop_pad import RandomCropPad
from .random_rescale import RandomRescale

__all__ = ['KeepFullPicture', 'PackWeakInputs', 'RandomCropPad', 'RandomRescale']
