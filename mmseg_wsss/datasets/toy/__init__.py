"""Generated dataset of the demo and the tests."""

from .toy_voc_dataset import ToyVOCDataset

__all__ = ['ToyVOCDataset']
