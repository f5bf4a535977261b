"""Image-level labels: load, derive from annotations, validate, write."""

from .from_coco import tags_from_coco
from .from_masks import tags_from_masks
from .from_voc_xml import tags_from_voc_xml
from .image_tags import ImageTags, TagError

__all__ = [
    'ImageTags',
    'TagError',
    'tags_from_coco',
    'tags_from_masks',
    'tags_from_voc_xml',
]
