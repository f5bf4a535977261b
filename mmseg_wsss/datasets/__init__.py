"""Where pictures, image tags and label files come from."""

from . import samplers, transforms
from .image_tags import ImageTags
from .picture_folder import PictureFolder
from .wrappers import WeakDataset, foreground_classes

__all__ = [
    'ImageTags',
    'PictureFolder',
    'WeakDataset',
    'foreground_classes',
    'samplers',
    'transforms',
]
