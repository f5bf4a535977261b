"""Image tags: the foreground classes present in each image, without positions."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmseg_wsss.utils.files import StrPath

from ..image_name import tag_key
from .records import TagRecords
from .tag_files import read_tag_file, write_tag_file
from .validation import TagError, check_classes, resolve

__all__ = ['ImageTags', 'TagError']


class ImageTags:
    """Image-level labels, stored as indices into the foreground classes.

    An image is identified by the path of its file below the image folder, without
    suffix (``2007_000032``, ``train/2007_000032``), in any Unicode form. Tag files
    contain class names. All problems of a source (unknown tags, unknown and repeated
    images, images without tags) are collected and raised as one :class:`TagError`, a
    ``ValueError`` that names file and line of each. A tag repeated for an image counts
    once.

    Args:
        tags: Tag indices in [0, K) of each image; may be empty.
        classes: Names of the K foreground classes, without the background.
        source: File or folder of the tags, for messages.
        locations: Location of each image's entry, for messages.

    Attributes:
        names: The images, in the order of the source.

    Raises:
        ValueError: If class names are repeated or contain the background, or an index
            lies outside [0, K).
    """

    def __init__(
        self,
        tags: Mapping[str, Sequence[int]],
        classes: Sequence[str],
        source: str = 'memory',
        locations: Mapping[str, str] | None = None,
    ) -> None:
        self.classes = check_classes(classes)
        self.source = source
        self._locations = dict(locations or {})
        self.names = tuple(tags)
        self._rows = {tag_key(name): row for row, name in enumerate(tags)}
        self._matrix = np.zeros((len(tags), len(self.classes)), dtype=np.uint8)
        for row, (name, indices) in enumerate(tags.items()):
            for index in indices:
                if not 0 <= index < len(self.classes):
                    raise ValueError(
                        f'{self.location(name)}: tag {index} of image {name!r} is '
                        f'outside [0, {len(self.classes)})'
                    )
                self._matrix[row, index] = 1

    @classmethod
    def load(
        cls,
        path: StrPath,
        classes: Sequence[str],
        *,
        index_base: int | None = None,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
    ) -> 'ImageTags':
        """Load a tag file.

        ``tools/dataset_converters/image_tags.py`` writes tag files from masks, VOC XML
        and COCO JSON.

        Args:
            path: JSON ``{"image": ["dog", "person"]}``; CSV ``image,tag1;tag2`` with
                or without a header; or text ``image tag tag`` (``.txt``, ``.lst``;
                separated by tabs where names contain spaces).
            classes: Names of the K foreground classes.
            index_base: Number of the first foreground class, 0 or 1, if tags are
                numbers. By default numbers are refused: 3 may mean the class of index
                3, or the label 3 of a mask, in which 0 is the background.
            images: Read the entries of these images only; each must have one.
            allow_empty: Whether images may have no tags (background only); a warning
                counts them.

        Raises:
            TagError: If entries are wrong; lists all of them.
            ValueError: If the format is unknown, or the file is broken or a pickle.
            FileNotFoundError: If the file does not exist.

        Examples:
            >>> from pathlib import Path
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     path = Path(folder, 'tags.csv')
            ...     _ = path.write_text('image,tags\\na.jpg,dog\\nb.jpg,cat;dog\\n')
            ...     tags = ImageTags.load(path, classes=['cat', 'dog'])
            >>> tags.vector('a')
            array([0, 1], dtype=uint8)
            >>> tags.labels('b')
            ['cat', 'dog']
        """
        found = read_tag_file(path)
        images = None if images is None else list(images)
        found.keep(images)
        return cls.from_records(
            found,
            classes,
            str(path),
            images,
            allow_empty,
            index_base=index_base,
        )

    @classmethod
    def from_records(
        cls,
        found: TagRecords,
        classes: Sequence[str],
        source: str,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
        **rules: Any,
    ) -> 'ImageTags':
        """Validate the records of a reader.

        Args:
            found: Records of a reader.
            classes: Names of the K foreground classes.
            source: Name of the source, for messages.
            images: As in :meth:`load`.
            allow_empty: As in :meth:`load`.
            **rules: ``index_base`` or ``skip_unknown`` of
                :func:`~mmseg_wsss.datasets.tags.validation.resolve`.

        Raises:
            TagError: If entries are wrong; lists all of them.
        """
        names = check_classes(classes)
        tags, locations, problems = resolve(
            found, names, source, images, allow_empty, **rules
        )
        if problems:
            raise TagError(source, problems, cls(tags, names, source, locations))
        empty = [name for name, indices in tags.items() if not indices]
        if empty:
            some = ', '.join(empty[:5]) + (', ...' if len(empty) > 5 else '')
            warnings.warn(
                f'{source}: {len(empty)} of {len(tags)} images have no tag: {some}',
                stacklevel=3,
            )
        return cls(tags, names, source, locations)

    def save(self, path: StrPath) -> None:
        """Write a tag file atomically; the suffix determines the format.

        Args:
            path: ``.json``, ``.csv``, or ``.txt``/``.lst`` (separated by tabs).

        Raises:
            ValueError: If the suffix is unknown, or the format cannot hold a name.
        """
        write_tag_file(path, {name: self.labels(name) for name in self.names})

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and tag_key(name) in self._rows

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({len(self)} images, {len(self.classes)} classes, '
            f'from {self.source})'
        )

    def vector(self, name: str) -> np.ndarray:
        """Return the tags of an image: (K,) uint8, 1 where the class is present.

        Raises:
            KeyError: If the image has no entry.
        """
        row = self._rows.get(tag_key(name))
        if row is None:
            raise KeyError(f'no tags for image {name!r} in {self!r}')
        return self._matrix[row].copy()

    def labels(self, name: str) -> list[str]:
        """Return the class names of an image; raises as :meth:`vector`."""
        return [self.classes[index] for index in np.flatnonzero(self.vector(name))]

    def location(self, name: str) -> str:
        """Return the file, and line if known, of an image's entry."""
        return self._locations.get(name, self.source)

    def counts(self) -> dict[str, int]:
        """Count the images of each class."""
        return dict(zip(self.classes, self._matrix.sum(0, dtype=int).tolist()))

    def check(self, names: Iterable[str]) -> None:
        """Check that images have entries; other entries are allowed.

        Raises:
            TagError: If images have no entry; lists all of them.
        """
        problems = self.missing(names)
        if problems:
            raise TagError(self.source, problems, self)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return a message for each image without an entry."""
        missing = [name for name in dict.fromkeys(names) if name not in self]
        others: dict[str, str] = {}
        if missing:  # entries of the same file name in another folder
            others = {tag_key(name.rpartition('/')[2]): name for name in self.names}
        messages = []
        for name in missing:
            other = others.get(tag_key(name.rpartition('/')[2]))
            hint = f' (there is {other!r}: names are paths below the image folder)'
            messages.append(
                f'{self.source}: no entry for image {name!r}{hint if other else ""}'
            )
        return messages
