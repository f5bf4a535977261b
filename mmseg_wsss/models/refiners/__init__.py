"""Image-guided refinement of score maps."""

from .dense_crf import DenseCRF
from .local_affinity import LocalAffinityRefiner

__all__ = ['DenseCRF', 'LocalAffinityRefiner']
