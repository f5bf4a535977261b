from .endless_sampler import EndlessSampler
from .multi_source_sampler import MultiSourceSampler

__all__ = ['EndlessSampler', 'MultiSourceSampler']
