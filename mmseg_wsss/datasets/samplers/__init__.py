from .endless_sampler import EndlessSampler
from .multi_source_sampler import MultiSourceSampler
from .stream_sampler import StreamSampler

__all__ = ['EndlessSampler', 'MultiSourceSampler', 'StreamSampler']
