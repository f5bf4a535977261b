"""Where pictures, image tags and label files come from."""

from . import samplers, transforms
from .coco_objects_dataset import COCOObjectsDataset
from .image_tags import ImageTags
from .picture_folder import PictureFolder
from .seeded_dataset import SeededDataset
from .toy_voc_dataset import ToyVOCDataset
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
