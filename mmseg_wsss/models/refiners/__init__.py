"""Image-guided refinement of score maps."""

from .dense_crf import DenseCRF
from .local_affinity_refiner import LocalAffinityRefiner
from .random_walk import RandomWalk

__all__ = ['DenseCRF', 'LocalAffinityRefiner', 'RandomWalk']
