"""Files below a folder."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmseg_wsss.utils.files import StrPath


def walk_files(folder: StrPath) -> Iterator[Path]:
    """Yield the files below a folder in alphabetical order.

    Links to files and folders are followed, hidden files and folders (``.name``) are
    skipped. A folder that contains a link to itself is entered once.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'folder {folder} does not exist')
    yield from sorted(_walk(folder, ()))


def _walk(folder: Path, above: tuple[str, ...]) -> Iterator[Path]:
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if entry.is_dir():
                yield from _walk(folder / entry.name, (*above, real))
            else:
                yield folder / entry.name


def files_below(folder: StrPath, suffix: str | Sequence[str]) -> dict[str, Path]:
    """Return the files below a folder, by their relative path without ``suffix``.

    Args:
        folder: The folder; see :func:`walk_files`.
        suffix: End of the names, or several of them, in lower or upper case.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If files differ in their suffix only.
    """
    suffixes = [suffix] if isinstance(suffix, str) else suffix
    found: dict[str, Path] = {}
    for path in walk_files(folder):
        lower = path.name.lower()
        end = next((s for s in suffixes if lower.endswith(s.lower())), None)
        if end is None:
            continue
        relative = path.relative_to(folder).as_posix()
        name = relative[: len(relative) - len(end)]
        if name in found:
            raise ValueError(
                f'{found[name]} and {path} have the same name {name!r}; rename or '
                'remove one of them'
            )
        found[name] = path
    return found
