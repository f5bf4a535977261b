"""Tag files (JSON, CSV, text): readers turn them into records, writers make them.

A record says what one entry of a file claims; what is wrong with the file itself is
collected beside the records, so that a user sees all of it at once. Whether the claims
are right (known class, known image, no duplicates) is for
:class:`~mmseg_wsss.datasets.tags.image_tags.ImageTags` to check.
"""

import csv
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mmseg_wsss.utils.files import atomic_write

StrPath = str | os.PathLike[str]

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
PICKLE_SUFFIXES = ('.npy', '.npz', '.pkl', '.pickle', '.pt', '.pth', '.joblib')
HEADER_IMAGE = ('image', 'image', 'img', 'file', 'filename', 'file_name', 'name')
HEADER_TAGS = ('tag', 'tags', 'label', 'labels', 'class', 'classes')


@dataclass(frozen=True)
class TagRecord:
    """One entry: the image and its tags as written, and the place for messages."""

    image: str
    tags: tuple[str | int, ...]
    where: str


@dataclass
class TagFile:
    """What a reader found.

    Args:
        records: The entries.
        problems: What was wrong beside them.
        has_ids: Whether ``record.image`` is an id, not yet a name with a suffix.
    """

    records: list[TagRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    has_ids: bool = False

    def keep(self, images: Sequence[str] | None) -> None:
        """Drop the records of other images; None keeps all."""
        if images is None:
            return
        wanted = set(images)
        self.records = [r for r in self.records if image_id(r.image) in wanted]


def image_id(name: str) -> str:
    """Identity of an image: its relative path with ``/`` and without its suffix.

    Only the suffixes of images are taken off, so dots in names survive.

    Raises:
        ValueError: The path is absolute, has ``..`` in it, is empty, or has control
            characters.
    """
    path = name.strip().replace('\\', '/')
    parts = PurePosixPath(path)
    if not parts.parts or any(ord(char) < 32 for char in path):
        raise ValueError(f'{name!r} is no name of an image')
    if parts.is_absolute() or '..' in parts.parts or re.match('[A-Za-z]:/', path):
        raise ValueError(f'image {name!r} leaves the data root')
    if parts.suffix.lower() in IMAGE_SUFFIXES:
        parts = parts.with_suffix('')
    return parts.as_posix()


def refuse_pickles(path: StrPath) -> None:
    """Refuse files that only unpickling can read, whatever their suffix says.

    Raises:
        ValueError: Says why, and how to convert the file.
    """
    path = Path(path)
    by_name = path.suffix.lower() in PICKLE_SUFFIXES
    head = b''
    if path.is_file():
        with open(path, 'rb') as file:
            head = file.read(6)
    if by_name or head[:1] == b'\x80' or head == b'\x93NUMPY':
        raise ValueError(
            f'{path}: image tags are never read from NumPy or pickle files, since '
            'reading one can run any code that its author put in. Derive the tags '
            'anew with tools/dataset_converters/image_tags.py (from masks, VOC XML or '
            'COCO JSON). If you trust the author of a file that holds a dict of '
            '0/1 vectors, convert it once: python -c "import json, numpy as np; '
            f"d = np.load('{path.name}', allow_pickle=True).item(); "
            'json.dump({str(k): np.flatnonzero(v).tolist() for k, v in d.items()}, '
            "open('tags.json', 'w'))\" and load tags.json with index_base=0"
        )


def read_utf8(path: StrPath) -> str:
    """Text of a file that is no pickle.

    Raises:
        ValueError: Another encoding than UTF-8, or a pickle; names the file.
    """
    refuse_pickles(path)
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path}: expected UTF-8 text: {error}') from error


def parse_json(path: StrPath, text: str, hook: Callable | None = None) -> Any:
    """Parse JSON; ``hook`` is ``json.loads``'s ``object_pairs_hook``.

    Raises:
        ValueError: Broken JSON; names file and, if known, the line.
    """
    try:
        return json.loads(text, object_pairs_hook=hook)
    except (ValueError, RecursionError) as error:
        line = getattr(error, 'lineno', '')
        where = f'{path}:{line}' if line else str(path)
        raise ValueError(f'{where}: broken JSON: {error}') from error


class _Pairs(list):
    """Key and value of every member of a JSON object, repeated keys included."""


def read_json(path: StrPath) -> TagFile:
    """Read ``{"image": ["dog", "person"], ...}``.

    Raises:
        ValueError: Not JSON, or not an object; names file and line.
    """
    text = read_utf8(path)
    pairs = parse_json(path, text, _Pairs)
    if not isinstance(pairs, _Pairs):
        raise ValueError(
            f'{path}: expected an object {{"image": ["tag", ...]}}, found '
            f'{type(pairs).__name__}'
        )
    # Every string is matched, so that a quote always opens one; keys have a colon.
    strings = re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?', text)
    starts = [match.start() for match in strings if match[1]]
    lines = _line_numbers(text, starts)
    places = [f'{path}:{line}' for line in lines]
    if len(places) != len(pairs):
        places = [str(path)] * len(pairs)
    file = TagFile()
    for (image, tags), where in zip(pairs, places):
        if not isinstance(tags, list) or not all(
            isinstance(tag, str | int) and not isinstance(tag, bool) for tag in tags
        ):
            file.problems.append(
                f'{where}: expected a list of tags for image {image!r}'
            )
        else:
            file.records.append(TagRecord(image, tuple(tags), where))
    return file


def _line_numbers(text: str, starts: list[int]) -> list[int]:
    lines, line, last = [], 1, 0
    for start in starts:
        line += text.count('\n', last, start)
        last = start
        lines.append(line)
    return lines


def read_csv(path: StrPath) -> TagFile:
    """Read ``image,tag1;tag2`` lines; a header such as ``image,tags`` is skipped.

    Raises:
        ValueError: Not text, or broken quotes; names file and line.
    """
    rows = csv.reader(io.StringIO(read_utf8(path), newline=''), strict=True)
    file = TagFile()
    first = True
    try:
        for row in rows:
            where = f'{path}:{rows.line_num}'
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            header, first = first and _is_header(cells), False
            if header:
                continue
            if len(cells) > 2:
                file.problems.append(
                    f'{where}: expected "image,tag1;tag2", found {len(cells)} columns'
                )
                continue
            names = cells[1].split(';') if len(cells) == 2 else []
            tags = tuple(name.strip() for name in names if name.strip())
            file.records.append(TagRecord(cells[0], tags, where))
    except csv.Error as error:
        raise ValueError(f'{path}:{rows.line_num}: broken CSV: {error}') from error
    return file


def _is_header(cells: list[str]) -> bool:
    return (
        len(cells) >= 2
        and cells[0].lower() in HEADER_IMAGE
        and cells[1].lower() in HEADER_TAGS
    )


def read_text(path: StrPath) -> TagFile:
    """Read ``image tag tag`` lines, split at tabs if there is one, else at spaces.

    Raises:
        ValueError: Not text; names the file.
    """
    file = TagFile()
    for number, line in enumerate(read_utf8(path).split('\n'), 1):
        cells = line.split('\t') if '\t' in line else line.split()
        cells = [cell.strip() for cell in cells]
        if any(cells):
            tags = tuple(cell for cell in cells[1:] if cell)
            file.records.append(TagRecord(cells[0], tags, f'{path}:{number}'))
    return file


def write_tags(path: StrPath, kind: str, tags: Mapping[str, Sequence[str]]) -> None:
    """Write a tag file that the reader of ``kind`` reads back, whole or not at all.

    Args:
        path: The file.
        kind: ``'json'``, ``'csv'`` or ``'text'``.
        tags: Class names of every image.

    Raises:
        ValueError: A name holds the mark that separates names.
    """
    mark = {'csv': ';', 'text': '\t'}.get(kind)
    for image, labels in tags.items():
        bad = [name for name in labels if mark and mark in name]
        if bad:
            raise ValueError(f'{path}: {bad[0]!r} of {image!r} has {mark!r} in it')
    with atomic_write(path, 'w') as file:
        if kind == 'json':
            lines = [f'  {json.dumps(p)}: {json.dumps(t)}' for p, t in tags.items()]
            file.write('{\n' + ',\n'.join(lines) + '\n}\n')
        elif kind == 'csv':
            rows = csv.writer(file, lineterminator='\n')
            rows.writerow(['image', 'tags'])
            rows.writerows([p, ';'.join(t)] for p, t in tags.items())
        else:
            # The tab behind every image keeps names with spaces in one piece.
            file.writelines(f'{p}\t' + '\t'.join(t) + '\n' for p, t in tags.items())
