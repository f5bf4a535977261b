"""Image-guided refinement of score maps."""

from .dense_crf import DenseCRF

__all__ = ['DenseCRF']
