"""Image-level labels ("tags"): which classes an image shows, not where."""

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..label_maps import LabelRule, files_below
from .readers import (
    TagFile,
    read_csv,
    read_json,
    read_text,
    refuse_pickles,
    write_tags,
)
from .rules import TagError, foreground, resolve
from .sources import is_coco, read_coco, read_masks, read_voc_xml

__all__ = ['ImageTags', 'TagError']

StrPath = str | os.PathLike[str]

TEXT_READERS = {'json': read_json, 'csv': read_csv, 'text': read_text}
TEXT_FORMATS = {'.json': 'json', '.csv': 'csv', '.txt': 'text', '.lst': 'text'}
FORMATS = (*TEXT_READERS, 'coco', 'voc_xml', 'masks')


class ImageTags:
    """Tags of images as indices into the foreground classes.

    An image goes by the stem of its file ("2007_000032"), with the sub-folder where
    images lie in sub-folders ("train/2007_000032"). Tags in files are class names.
    Every reader checks all of the source and raises one :class:`TagError`, a
    ``ValueError``, that names each problem with its file and, in text files, line:
    unknown tags, unknown and repeated images, images without any tag. A tag
    repeated for an image counts once. Images without any tag are an error unless
    ``allow_empty=True`` says that they are meant (images of background only); then
    a warning counts them.

    Readers have these arguments in common:

    * ``classes``: names of the K foreground classes, without the background.
    * ``images``: the images expected, e.g. of a split list. A tag file must name
      all of them and no other; from folders and COCO files only these are read.
    * ``allow_empty``: see above.

    Args:
        tags: Tag indices in [0, K) of each image; may be empty.
        classes: Names of the K foreground classes.
        source: Where the tags come from, for messages.
        places: Where each image's entry is, for messages.

    Raises:
        ValueError: Repeated class names, a background among them, or an index outside
            [0, K).
    """

    def __init__(
        self,
        tags: Mapping[str, Sequence[int]],
        classes: Sequence[str],
        source: str = 'memory',
        places: Mapping[str, str] | None = None,
    ) -> None:
        self.classes = foreground(classes)
        self.source = source
        self._places = dict(places or {})
        self._rows = {name: row for row, name in enumerate(tags)}
        self._matrix = np.zeros((len(tags), len(self.classes)), dtype=np.uint8)
        for row, (name, indices) in enumerate(tags.items()):
            for index in indices:
                if not 0 <= index < len(self.classes):
                    raise ValueError(
                        f'{self.place(name)}: tag {index} of image {name!r} is '
                        f'outside [0, {len(self.classes)})'
                    )
                self._matrix[row, index] = 1

    @property
    def names(self) -> tuple[str, ...]:
        """The images, in the order of the source."""
        return tuple(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({len(self)} images, {len(self.classes)} classes, '
            f'from {self.source})'
        )

    def vector(self, name: str) -> np.ndarray:
        """Tags of an image: (K,) uint8, 1 where the class is present.

        Raises:
            KeyError: The image has no entry.
        """
        if name not in self._rows:
            raise KeyError(f'no tags for image {name!r} in {self!r}')
        return self._matrix[self._rows[name]].copy()

    def labels(self, name: str) -> list[str]:
        """Tags of an image as class names; same errors as :meth:`vector`."""
        return [self.classes[index] for index in np.flatnonzero(self.vector(name))]

    def place(self, name: str) -> str:
        """File, and line if known, of an image's entry."""
        return self._places.get(name, self.source)

    def counts(self) -> dict[str, int]:
        """Number of images that show each class."""
        return dict(zip(self.classes, self._matrix.sum(0, dtype=int).tolist()))

    def check(self, names: Iterable[str], allow_extra: bool = True) -> None:
        """Check that the images of a data set have entries.

        Args:
            names: The images of the data set.
            allow_extra: Whether there may be entries for other images, as where one
                file serves several splits.

        Raises:
            TagError: Names every image without entry, and every other entry.
        """
        known = dict.fromkeys(names)
        problems = [
            f'{self.source}: no entry for image {name!r}'
            for name in known
            if name not in self
        ]
        if not allow_extra:
            problems += [
                f'{self.place(name)}: unknown image {name!r}'
                for name in self.names
                if name not in known
            ]
        if problems:
            raise TagError(self.source, problems)

    def save(self, path: StrPath) -> None:
        """Write a tag file, whole or not at all; the suffix says which kind.

        Args:
            path: ``.json``, ``.csv``, or ``.txt``/``.lst`` (separated by tabs).

        Raises:
            ValueError: Another suffix, or names that the kind cannot hold.
        """
        kind = _text_format(path)
        write_tags(path, kind, {name: self.labels(name) for name in self.names})

    @classmethod
    def load(
        cls,
        path: StrPath,
        classes: Sequence[str],
        format: str | None = None,
        *,
        index_base: int | None = None,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
        **options: Any,
    ) -> 'ImageTags':
        """Read tags from a file or folder.

        Args:
            path: JSON ``{"image": ["dog", "person"]}``; CSV ``image,tag1;tag2`` with
                or without a header; text ``image tag tag`` (tabs where names have
                spaces); a COCO file; a folder of VOC XML files or of label maps.
            classes: Foreground classes.
            format: ``'json'``, ``'csv'``, ``'text'``, ``'coco'``, ``'voc_xml'`` or
                ``'masks'``; by default told from suffix and content.
            index_base: Numbers are refused as tags, since 3 may mean class 3 or label
                3, where 0 is the background, unless this says what they count from: 0
                (first foreground class is 0) or 1. For JSON, CSV and text.
            images: Images expected.
            allow_empty: Whether images may have no tag.
            **options: Of ``from_coco``, ``from_voc_xml`` or ``from_masks``.

        Raises:
            TagError: All that is wrong with the entries.
            ValueError: Unknown format, a broken file, NumPy and pickle files.
            FileNotFoundError: There is no such file or folder.
        """
        refuse_pickles(path)
        kind = format or _guess_format(path)
        if kind not in FORMATS:
            raise ValueError(f'{path}: format must be one of {FORMATS}, got {kind!r}')
        if kind not in TEXT_READERS:
            if index_base is not None:
                raise ValueError(f'{path}: index_base is not for format {kind!r}')
            read = getattr(cls, f'from_{kind}')
            options.update(images=images, allow_empty=allow_empty)
            return read(path, classes, **options)
        if options:
            raise ValueError(f'{path}: format {kind!r} takes no {sorted(options)}')
        file = TEXT_READERS[kind](path)
        return cls._from_records(
            file, classes, str(path), images, allow_empty, index_base=index_base
        )

    @classmethod
    def load_for(
        cls,
        images: Iterable[str],
        path: StrPath,
        classes: Sequence[str],
        format: str | None = None,
        **options: Any,
    ) -> 'ImageTags':
        """Read the tags of a data set's images from a source that may hold more.

        What a COCO file, or a folder of XML files or label maps, says of other
        images is not looked at; the lines of a tag file are all validated.

        Args:
            images: Images of the data set.
            path: As in :meth:`load`, like all further arguments and errors.
            classes: Foreground classes.
            format: As in :meth:`load`.
            **options: As in :meth:`load`.
        """
        refuse_pickles(path)
        if (format or _guess_format(path)) not in TEXT_READERS:
            options.setdefault('images', list(images))
        return cls.load(path, classes, format, **options)

    @classmethod
    def from_coco(
        cls,
        path: StrPath,
        classes: Sequence[str] | None = None,
        drop_unknown: bool = False,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
    ) -> 'ImageTags':
        """Collect the categories present in each image of a COCO file.

        Args:
            path: COCO JSON with ``images``, ``annotations`` and ``categories``.
            classes: Foreground classes; by default all categories, by rising id.
            drop_unknown: Leave out categories that are no class, instead of raising.
            images: Read these only; ids from ``file_name``.
            allow_empty: Whether images may have no tag.

        Raises:
            TagError: As :meth:`load`.
            ValueError: The file is no COCO file.
        """
        file, categories = read_coco(path)
        names = categories if classes is None else classes
        images = None if images is None else list(images)
        file.keep(images)
        return cls._from_records(
            file, names, str(path), images, allow_empty, drop_unknown=drop_unknown
        )

    @classmethod
    def from_voc_xml(
        cls,
        folder: StrPath,
        classes: Sequence[str],
        keep_difficult: bool = True,
        drop_unknown: bool = False,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
    ) -> 'ImageTags':
        """Collect the objects named in a folder of VOC annotations.

        Args:
            folder: Folder with one XML file an image, of the same stem.
            classes: Foreground classes.
            keep_difficult: Whether objects marked ``difficult`` count.
            drop_unknown: Leave out objects that are no class, instead of raising.
            images: Read these only.
            allow_empty: Whether images may have no tag.

        Raises:
            TagError: As :meth:`load`; also broken XML and XML with a DOCTYPE.
        """
        images = None if images is None else list(images)
        files = _chosen(files_below(folder, '.xml'), images)
        return cls._from_records(
            read_voc_xml(files, keep_difficult),
            classes,
            str(folder),
            images,
            allow_empty,
            drop_unknown=drop_unknown,
        )

    @classmethod
    def from_masks(
        cls,
        masks: StrPath | Mapping[str, StrPath],
        classes: Sequence[str],
        background: bool = True,
        reduce_zero_label: bool = False,
        ignore_index: int = 255,
        min_pixels: int = 1,
        suffix: str = '.png',
        workers: int = 0,
        progress: bool = False,
        images: Iterable[str] | None = None,
        allow_empty: bool = False,
    ) -> 'ImageTags':
        """Derive tags from label maps (palette or gray PNG).

        Args:
            masks: Folder of label maps, or the label map of every image.
            classes: Foreground classes.
            background: Whether label 0 is the background, which is no tag.
            reduce_zero_label: Whether 0 means "unlabeled" and classes begin at 1, as
                in mmseg's data sets without background (then ``background=False``).
            ignore_index: Value of pixels without a label.
            min_pixels: A class counts as present from this number of pixels on.
            suffix: End of the names of label maps, taken off for the image.
            workers: Processes that read; 0 reads in this one.
            progress: Whether to show a bar.
            images: Read these only.
            allow_empty: Whether images may have no tag.

        Raises:
            TagError: As :meth:`load`; also unreadable masks, labels outside the range.
        """
        if not isinstance(masks, Mapping):
            source, files = str(masks), files_below(masks, suffix)
        else:
            source, files = 'masks', {name: Path(p) for name, p in masks.items()}
        images = None if images is None else list(images)
        names = foreground(classes)
        rule = LabelRule(len(names), background, reduce_zero_label, ignore_index)
        file = read_masks(
            _chosen(files, images), rule, names, min_pixels, workers, progress
        )
        return cls._from_records(file, names, source, images, allow_empty)

    @classmethod
    def _from_records(
        cls,
        file: TagFile,
        classes: Sequence[str],
        source: str,
        images: Iterable[str] | None,
        allow_empty: bool,
        **rules: Any,
    ) -> 'ImageTags':
        names = foreground(classes)
        tags, places, problems = resolve(
            file, names, source, images, allow_empty, **rules
        )
        if problems:
            raise TagError(source, problems)
        empty = [name for name, indices in tags.items() if not indices]
        if empty:
            some = ', '.join(empty[:5]) + (', ...' if len(empty) > 5 else '')
            warnings.warn(
                f'{source}: {len(empty)} of {len(tags)} images have no tag: {some}',
                stacklevel=3,
            )
        return cls(tags, names, source, places)


def _chosen(files: Mapping[str, Path], images: Sequence[str] | None) -> dict[str, Path]:
    if images is None:
        return dict(files)
    return {name: files[name] for name in images if name in files}


def _text_format(path: StrPath) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in TEXT_FORMATS:
        raise ValueError(
            f'{path}: expected one of the suffixes {", ".join(TEXT_FORMATS)}, found '
            f'{suffix!r}'
        )
    return TEXT_FORMATS[suffix]


def _guess_format(path: StrPath) -> str:
    folder = Path(path)
    if folder.is_dir():
        for suffix, kind in (('.xml', 'voc_xml'), ('.png', 'masks')):
            if next(folder.rglob(f'*{suffix}'), None):
                return kind
        raise ValueError(f'{path}: expected XML files or PNG label maps, found neither')
    kind = _text_format(path)
    return 'coco' if kind == 'json' and is_coco(path) else kind
