"""Where pictures, image tags and label files come from."""

from . import samplers, transforms
from .coco_objects_dataset import COCOObjectsDataset
from .deterministic_dataset import SeededDataset
from .image_folder import PictureFolder
from .tags import ImageTags
from .toy import ToyVOCDataset
from .wrappers import SemiDataset, WeakDataset, foreground_classes

__all__ = [
    'COCOObjectsDataset',
    'ImageTags',
    'PictureFolder',
    'SeededDataset',
    'SemiDataset',
    'ToyVOCDataset',
    'WeakDataset',
    'foreground_classes',
    'samplers',
    'transforms',
]
