from .endless_sampler import EndlessSampler

__all__ = ['EndlessSampler']
