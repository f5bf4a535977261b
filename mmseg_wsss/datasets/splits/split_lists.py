"""Split lists: text files with one image name per line."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmseg_wsss.utils.files import atomic_write, inside

StrPath = str | os.PathLike[str]


def read_list(path: StrPath) -> list[str]:
    """Read the names of a split list; empty lines are skipped.

    Raises:
        ValueError: If a name leaves its folder; names file and line.
        FileNotFoundError: If the file does not exist.
    """
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    names = [line.strip() for line in lines]
    for number, name in enumerate(names, 1):
        try:
            inside('.', name)
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
    return [name for name in names if name]


def write_list(path: StrPath, names: Sequence[str]) -> None:
    """Write a split list, atomically."""
    with atomic_write(path, 'w') as file:
        file.writelines(f'{name}\n' for name in names)
