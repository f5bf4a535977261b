"""Where pictures, image tags and label files come from."""

from . import samplers, transforms

__all__ = ['samplers', 'transforms']
