"""Image-level labels: read, derive from masks, validate, write."""

from .image_tags import ImageTags

__all__ = ['ImageTags']
