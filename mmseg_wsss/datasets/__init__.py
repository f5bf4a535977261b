"""Datasets, wrappers, samplers and transforms."""

from . import samplers, transforms
from .coco_objects_dataset import COCOObjectsDataset
from .deterministic_dataset import DeterministicDataset
from .image_folder import ImageFolder
from .image_name import foreground_classes
from .semi_dataset import SemiDataset
from .tags import ImageTags
from .toy import ToyVOCDataset
from .weak_dataset import WeakDataset

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
