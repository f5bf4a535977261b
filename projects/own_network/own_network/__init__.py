from .small_net import SmallNet

__all__ = ['SmallNet']
