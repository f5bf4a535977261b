"""Entries of tag files as written, before validation."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..image_name import tag_key


@dataclass(frozen=True)
class TagRecord:
    """One entry: an image and its tags as written.

    Args:
        image: Name of the image, or its identity where ``TagRecords.has_ids``.
        tags: Class names or numbers.
        location: File, and line if known, for messages.
    """

    image: str
    tags: tuple[str | int, ...]
    location: str


@dataclass
class TagRecords:
    """All entries of a source.

    Args:
        records: The entries.
        problems: Messages about entries that could not be read.
        has_ids: Whether ``TagRecord.image`` already is the result of
            :func:`image_id`.
    """

    records: list[TagRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    has_ids: bool = False

    def keep(self, images: Iterable[str] | None) -> None:
        """Remove the records of all other images; None keeps every record.

        Records with an invalid name are kept, so that it is reported.
        """
        if images is not None:
            keys = {None, *map(tag_key, images)}
            self.records = [r for r in self.records if _key(r.image) in keys]


def image_id(name: str) -> str:
    """Return the identity of an image: its relative path without the suffix.

    Separators become ``/``. Only suffixes of image files are removed, so names may
    contain dots; see :func:`~mmseg_wsss.datasets.image_name.tag_key`.

    Raises:
        ValueError: If the name is empty, absolute, or contains ``..`` or control
            characters.

    Examples:
        >>> image_id('train/2007_000032.jpg')
        'train/2007_000032'
    """
    path = name.strip().replace('\\', '/')
    if path in ('', '.') or any(ord(char) < 32 for char in path):
        raise ValueError(f'{name!r} is not a valid image name')
    if path[0] == '/' or '..' in path.split('/') or re.match('[A-Za-z]:/', path):
        raise ValueError(f'image {name!r} leaves the data root')
    return tag_key(posixpath.normpath(path))


def _key(name: str) -> str | None:
    """Return the identity of an image, None if its name is invalid."""
    try:
        return image_id(name)
    except ValueError:
        return None
