"""Read and write tag files in JSON, CSV and text format.

Readers return :class:`~.records.TagRecords`: entries as written, and messages about
entries that are malformed. :func:`~.validation.resolve` validates them.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmseg_wsss.utils.files import StrPath, atomic_write, read_utf8

from ..image_name import IMAGE_SUFFIXES
from .records import TagRecord, TagRecords
from .text_input import parse_json, refuse_pickles

HEADER_IMAGE = ('image', 'picture', 'img', 'file', 'filename', 'file_name', 'name')
HEADER_TAGS = ('tag', 'tags', 'label', 'labels', 'class', 'classes')
SUFFIX = f'(?:{"|".join(map(re.escape, IMAGE_SUFFIXES))})'
CONVERTER = 'tools/dataset_converters/image_tags.py'


def read_tag_file(path: StrPath) -> TagRecords:
    """Read a tag file; the suffix determines the format.

    Raises:
        ValueError: If the suffix is unknown, the path is a folder, or the file is
            broken; the message names it.
        FileNotFoundError: If the file does not exist.
    """
    if Path(path).is_dir():
        raise ValueError(
            f'{path} is a folder, expected a tag file; convert VOC annotations or '
            f'label maps with {CONVERTER} --voc-xml or --masks'
        )
    refuse_pickles(path)  # first, since it refuses those of any suffix
    text = read_utf8(path)
    readers = {'json': _read_json, 'csv': _read_csv, 'text': _read_text}
    return readers[_format_of(path)](path, text)


def write_tag_file(path: StrPath, tags: Mapping[str, Sequence[str]]) -> None:
    """Write a tag file atomically; the suffix determines the format.

    Args:
        path: ``.json``, ``.csv``, or ``.txt``/``.lst`` (separated by tabs).
        tags: Class names of every image.

    Raises:
        ValueError: If the suffix is unknown, or a class name contains the separator.
    """
    kind = _format_of(path)
    separator = {'csv': ';', 'text': '\t'}.get(kind)
    for image, labels in tags.items():
        bad = [name for name in labels if separator and separator in name]
        if bad:
            raise ValueError(
                f'{path}: class {bad[0]!r} of image {image!r} contains {separator!r}, '
                'which separates classes in this format; write a .json file instead'
            )
    with atomic_write(path, 'w') as file:
        if kind == 'json':
            lines = [f'  {json.dumps(p)}: {json.dumps(t)}' for p, t in tags.items()]
            file.write('{\n' + ',\n'.join(lines) + '\n}\n')
        elif kind == 'csv':
            rows = csv.writer(file, lineterminator='\n')
            rows.writerow(['image', 'tags'])
            rows.writerows([p, ';'.join(t)] for p, t in tags.items())
        else:
            # The tab after every image keeps names with spaces in one piece.
            file.writelines(f'{p}\t' + '\t'.join(t) + '\n' for p, t in tags.items())


def _format_of(path: StrPath) -> str:
    formats = {'.json': 'json', '.csv': 'csv', '.txt': 'text', '.lst': 'text'}
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        raise ValueError(
            f'{path}: expected one of the suffixes {", ".join(formats)}, got {suffix!r}'
        )
    return formats[suffix]


class _Pairs(list):
    """Keys and values of a JSON object, including repeated keys."""


def _read_json(path: StrPath, text: str) -> TagRecords:
    """Read ``{"image": ["dog", "person"], ...}``."""
    pairs = parse_json(path, text, _Pairs)
    expected = f'{path}: expected an object {{"image": ["tag", ...]}}, found'
    if not isinstance(pairs, _Pairs):
        raise ValueError(f'{expected} {type(pairs).__name__}')
    if {'images', 'categories'} <= {key for key, _ in pairs}:
        raise ValueError(f'{expected} a COCO file; convert it with {CONVERTER} --coco')
    # Matching every string ensures that a quote always opens one; keys have a colon.
    strings = re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?', text)
    lines = _line_numbers(text, [match.start() for match in strings if match[1]])
    locations = [f'{path}:{line}' for line in lines]
    if len(locations) != len(pairs):
        locations = [str(path)] * len(pairs)
    found = TagRecords()
    for (image, tags), location in zip(pairs, locations):
        if not isinstance(tags, list) or not all(
            isinstance(tag, str | int) and not isinstance(tag, bool) for tag in tags
        ):
            found.problems.append(
                f'{location}: expected a list of tags for image {image!r}'
            )
        else:
            found.records.append(TagRecord(image, tuple(tags), location))
    return found


def _line_numbers(text: str, starts: list[int]) -> list[int]:
    """Return the 1-based lines of ascending positions in a text."""
    lines, line, last = [], 1, 0
    for start in starts:
        line += text.count('\n', last, start)
        last = start
        lines.append(line)
    return lines


def _read_csv(path: StrPath, text: str) -> TagRecords:
    """Read ``image,tag1;tag2`` lines; a header such as ``image,tags`` is skipped."""
    rows = csv.reader(io.StringIO(text, newline=''), strict=True)
    found = TagRecords()
    first = True
    try:
        for row in rows:
            location = f'{path}:{rows.line_num}'
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            header, first = first and _is_header(cells), False
            if header:
                continue
            if len(cells) > 2:
                found.problems.append(
                    f'{location}: expected "image,tag1;tag2", found {len(cells)} '
                    'columns'
                )
                continue
            if len(cells) == 1 and (separator := _separator(cells[0], ';\t|')):
                found.problems.append(
                    f'{location}: expected "image,tag1;tag2", found {separator!r} and '
                    'no comma; separate image and tags by a comma'
                )
                continue
            names = cells[1].split(';') if len(cells) == 2 else []
            tags = tuple(name.strip() for name in names if name.strip())
            found.records.append(TagRecord(cells[0], tags, location))
    except csv.Error as error:
        raise ValueError(f'{path}:{rows.line_num}: broken CSV: {error}') from error
    return found


def _separator(text: str, candidates: str) -> str | None:
    """Return the separator in a cell that should hold the name of an image only."""
    after = re.search(SUFFIX + r'([\s,;|:=])', text, re.IGNORECASE)
    if after:
        return after[1]
    return next((char for char in candidates if char in text), None)


def _is_header(cells: list[str]) -> bool:
    return (
        len(cells) >= 2
        and cells[0].lower() in HEADER_IMAGE
        and cells[1].lower() in HEADER_TAGS
    )


def _read_text(path: StrPath, text: str) -> TagRecords:
    """Read ``image tag tag`` lines, split at tabs if there are any, else at spaces."""
    found = TagRecords()
    for number, line in enumerate(text.split('\n'), 1):
        cells = line.split('\t') if '\t' in line else line.split()
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        alone = len(cells) == 1
        end = _separator(
            cells[0] if alone else cells[0][-1:], ',;|:'[: 3 + (not alone)]
        )
        if end:
            found.problems.append(
                f'{path}:{number}: expected "image tag tag", found {end!r}; separate '
                'image and tags by tabs or spaces, or name the file .csv'
            )
        else:
            tags = tuple(cell for cell in cells[1:] if cell)
            found.records.append(TagRecord(cells[0], tags, f'{path}:{number}'))
    return found
