"""Validation of tags: valid classes, expected images, one entry per image."""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..image_name import is_background, tag_key
from .records import TagRecord, TagRecords, image_id

MAX_PROBLEMS = 200  # in the text of an error


class TagError(ValueError):
    """All problems of a tag source.

    Attributes:
        source: File or folder of the tags.
        problems: One message per problem; the text of the error shows the first 200.
        tags: The ``ImageTags`` of the entries that could be read, if known.
    """

    def __init__(self, source: str, problems: Sequence[str], tags: Any = None) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = list(problems)
        self.tags = tags

    def with_missing(self, names: Iterable[str]) -> 'TagError':
        """Return the error with a message for each image without an entry."""
        missing = [] if self.tags is None else self.tags.missing(names)
        known = set(self.problems)
        more = [problem for problem in missing if problem not in known]
        return TagError(self.source, [*self.problems, *more], self.tags)

    def __str__(self) -> str:
        messages = self.problems[:MAX_PROBLEMS]
        if len(messages) < len(self.problems):
            messages.append(f'... and {len(self.problems) - len(messages)} more')
        lines = '\n  '.join(messages)
        return f'{self.source}: {len(self.problems)} problem(s)\n  {lines}'


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the foreground classes as a tuple.

    Raises:
        ValueError: If there are no names, or some are repeated or the background.
    """
    names = tuple(classes)
    if isinstance(classes, str) or not names:
        raise ValueError(f'classes must be a list of names, got {classes!r}')
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f'repeated class names: {repeated}')
    if any(is_background(name) for name in names):
        raise ValueError('classes are the foreground classes: leave out "background"')
    return names


def resolve(
    found: TagRecords,
    classes: Sequence[str],
    source: str,
    images: Iterable[str] | None = None,
    allow_empty: bool = False,
    index_base: int | None = None,
    skip_unknown: bool = False,
) -> tuple[dict[str, list[int]], dict[str, str], list[str]]:
    """Convert records to tag indices and collect all problems.

    Args:
        found: Records of a reader.
        classes: Names of the foreground classes.
        source: Name of the source, for messages.
        images: Images that need an entry.
        allow_empty: Whether images may have no tags.
        index_base: Number of the first class if tags are numbers; None refuses numbers.
        skip_unknown: Whether unknown tags are ignored instead of reported.

    Returns:
        The tag indices of each image, the location of its entry, and the problems.

    Raises:
        ValueError: If ``index_base`` is not 0, 1 or None.
    """
    if index_base not in (None, 0, 1):
        raise ValueError(f'index_base must be 0, 1 or None, got {index_base!r}')
    problems = list(found.problems)
    tags: dict[str, list[int]] = {}
    locations: dict[str, str] = {}
    expected = None if images is None else {tag_key(name): name for name in images}
    seen: dict[str, str] = {}
    indices = {name: index for index, name in enumerate(classes)}
    for record in found.records:
        image, location = record.image, record.location
        try:
            image = image if found.has_ids else image_id(image)
        except ValueError as error:
            problems.append(f'{location}: {error}')
            continue
        key = tag_key(image)
        if key in seen:
            first = locations[seen[key]]
            problems.append(f'{location}: duplicate image {image!r}, first at {first}')
            continue
        seen[key] = image
        locations[image] = location
        tags[image], wrong = _indices(record, indices, index_base)
        if skip_unknown:
            wrong = []
        if not (tags[image] or wrong or allow_empty):
            wrong = ['no tag (allow_empty=True accepts images without tags)']
        problems += [f'{location}: image {image!r}: {text}' for text in wrong]
    missing = [name for key, name in (expected or {}).items() if key not in seen]
    problems += [f'{source}: no entry for image {name!r}' for name in missing]
    return tags, locations, problems


def _indices(
    record: TagRecord, classes: dict[str, int], index_base: int | None
) -> tuple[list[int], list[str]]:
    """Return the class indices of a record's tags, and messages about the others."""
    found: dict[int, None] = {}
    wrong = []
    for tag in record.tags:
        if tag in classes:
            found[classes[str(tag)]] = None
        elif not re.fullmatch('-?[0-9]{1,9}', str(tag)):
            wrong.append(f'unknown tag {str(tag)!r}{_hint(str(tag), classes)}')
        elif index_base is None:
            wrong.append(
                f'tag {tag} is a number, which may count classes with or without the '
                'background; write the class name, or set index_base to 0 or 1'
            )
        elif not 0 <= int(tag) - index_base < len(classes):
            wrong.append(
                f'tag {tag} outside [{index_base}, {len(classes) + index_base})'
            )
        else:
            found[int(tag) - index_base] = None
    return sorted(found), wrong


def _hint(tag: str, classes: Iterable[str]) -> str:
    """Return the remedy for an unknown tag; empty if there is none."""
    parts = [part.strip() for part in re.split(r'[,;|/:\s]+', tag) if part.strip()]
    if len(parts) > 1 and set(parts) <= set(classes):
        return (
            f' (these are {len(parts)} tags: separate them by ";" in CSV, by tabs or '
            'spaces in text, and write a list in JSON)'
        )
    if is_background(tag):
        return ' (the background is no tag: remove it)'
    close = difflib.get_close_matches(tag, classes, 1)
    return f' (did you mean {close[0]!r}?)' if close else ''
