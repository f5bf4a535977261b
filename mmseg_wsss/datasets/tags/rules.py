"""What makes tags valid: known classes, known images, one entry each."""

import difflib
import re
from collections.abc import Iterable, Sequence

from .readers import TagFile, TagRecord, image_id

SHOWN_PROBLEMS = 200


class TagError(ValueError):
    """All that is wrong with the tags; ``problems`` holds one sentence for each."""

    def __init__(self, source: str, problems: Sequence[str]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = list(problems)

    def __str__(self) -> str:
        shown = self.problems[:SHOWN_PROBLEMS]
        if len(shown) < len(self.problems):
            shown.append(f'... and {len(self.problems) - len(shown)} more')
        lines = '\n  '.join(shown)
        return f'{self.source}: {len(self.problems)} problem(s)\n  {lines}'


def foreground(classes: Sequence[str]) -> tuple[str, ...]:
    """Check the names of the foreground classes.

    Raises:
        ValueError: No names, repeated names, or the background among them.
    """
    names = tuple(classes)
    if isinstance(classes, str) or not names:
        raise ValueError(f'classes must be a list of names, got {classes!r}')
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f'repeated class names: {repeated}')
    if names[0].lower() == 'background':
        raise ValueError('classes are the foreground classes: leave out "background"')
    return names


def resolve(
    file: TagFile,
    classes: Sequence[str],
    source: str,
    images: Iterable[str] | None = None,
    allow_empty: bool = False,
    index_base: int | None = None,
    drop_unknown: bool = False,
) -> tuple[dict[str, list[int]], dict[str, str], list[str]]:
    """Turn records into tag indices, and collect all that is wrong with them.

    Args:
        file: What a reader found.
        classes: Names of the foreground classes.
        source: Name of the whole, for messages.
        images: The images expected; None expects nothing.
        allow_empty: Whether images may have no tag.
        index_base: What numbers count from; None refuses numbers.
        drop_unknown: Whether unknown tags are left out instead of reported.

    Returns:
        Tag indices of each image, the place of its entry, and the problems.

    Raises:
        ValueError: ``index_base`` is not 0, 1 or None.
    """
    if index_base not in (None, 0, 1):
        raise ValueError(f'index_base must be 0, 1 or None, got {index_base!r}')
    problems = list(file.problems)
    tags: dict[str, list[int]] = {}
    places: dict[str, str] = {}
    expected = None if images is None else dict.fromkeys(images)
    indices = {name: index for index, name in enumerate(classes)}
    for record in file.records:
        image = record.image
        try:
            image = image if file.has_ids else image_id(image)
        except ValueError as error:
            problems.append(f'{record.where}: {error}')
            continue
        if image in tags:
            problems.append(
                f'{record.where}: duplicate image {image!r}, first at {places[image]}'
            )
            continue
        if expected is not None and image not in expected:
            problems.append(f'{record.where}: unknown image {image!r}')
        places[image] = record.where
        tags[image], wrong = _indices(record, indices, index_base)
        if drop_unknown:
            wrong = []
        if not (tags[image] or wrong or allow_empty):
            wrong = ['no tag (allow_empty=True accepts images without tags)']
        problems += [f'{record.where}: image {image!r}: {text}' for text in wrong]
    problems += [
        f'{source}: no entry for image {name!r}'
        for name in expected or ()
        if name not in tags
    ]
    return tags, places, problems


def _indices(
    record: TagRecord, classes: dict[str, int], index_base: int | None
) -> tuple[list[int], list[str]]:
    """Indices of the tags of a record, and what is wrong with the others."""
    found: dict[int, None] = {}
    wrong = []
    for tag in record.tags:
        if tag in classes:
            found[classes[str(tag)]] = None
            continue
        if not re.fullmatch('-?[0-9]{1,9}', str(tag)):
            wrong.append(_unknown(str(tag), classes))
        elif index_base is None:
            wrong.append(
                f'tag {tag} is a number, which may count classes with or without the '
                'background; write the name, or say index_base=0 or 1'
            )
        elif not 0 <= int(tag) - index_base < len(classes):
            wrong.append(
                f'tag {tag} outside [{index_base}, {len(classes) + index_base})'
            )
        else:
            found[int(tag) - index_base] = None
    return sorted(found), wrong


def _unknown(tag: str, classes: dict[str, int]) -> str:
    close = difflib.get_close_matches(tag, classes, 1)
    hint = f' (did you mean {close[0]!r}?)' if close else ''
    return f'unknown tag {tag!r}{hint}'
