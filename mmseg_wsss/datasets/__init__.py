"""Where images, image tags and label files come from."""

from . import samplers, transforms
from .coco_objects_dataset import COCOObjectsDataset
from .deterministic_dataset import DeterministicDataset
from .image_folder import ImageFolder
from .tags import ImageTags
from .toy import ToyVOCDataset
from .wrappers import SemiDataset, WeakDataset, foreground_classes

__all__ = [
    'COCOObjectsDataset',
    'DeterministicDataset',
    'ImageFolder',
    'ImageTags',
    'SemiDataset',
    'ToyVOCDataset',
    'WeakDataset',
    'foreground_classes',
    'samplers',
    'transforms',
]
