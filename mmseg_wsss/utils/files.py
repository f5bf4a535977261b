"""Writing files whole or not at all, and keeping paths inside their folder."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

StrPath = str | os.PathLike[str]


@contextmanager
def atomic_write(
    path: StrPath, mode: str = 'wb', encoding: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when it is whole.

    The content goes to a hidden neighbor (``.NAME.XXXX.tmp``) that replaces ``path``
    when the block ends without an error and is removed otherwise, so that ``path``
    holds either what it held before or all of the new content. Folders are created.

    Args:
        path: Where the file shall lie.
        mode: ``'wb'`` or ``'w'``.
        encoding: Text encoding; UTF-8 where ``mode`` is ``'w'`` and none is given.

    Yields:
        The open file.

    Raises:
        ValueError: ``mode`` is neither ``'w'`` nor ``'wb'``.
        OSError: The folder cannot be written to.
    """
    if mode not in ('w', 'wb'):
        raise ValueError(f"mode must be 'w' or 'wb', got {mode!r}")
    if mode == 'w' and encoding is None:
        encoding = 'utf-8'
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: its files are readable by their owner only, and stay so.
    part = path.parent / f'.{path.name}.{secrets.token_hex(4)}.tmp'
    try:
        with open(part, mode.replace('w', 'x'), encoding=encoding) as file:
            yield file
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def sha256_of(path: StrPath) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def inside(root: StrPath, path: StrPath, follow_links: bool = False) -> Path:
    """Join a path to a folder that it must not leave.

    Args:
        root: The folder.
        path: A path relative to ``root``, or an absolute one below it.
        follow_links: Compare the places that symbolic links lead to. Off by default,
            since folders of a data root are often links that the user made.

    Returns:
        ``root / path`` with every ``..`` resolved: use this path, not the original.

    Raises:
        ValueError: The path leads out of ``root``.
    """
    base = os.path.abspath(root)
    joined = os.path.abspath(os.path.join(base, path))
    if follow_links:
        places = os.path.realpath(base), os.path.realpath(joined)
    else:
        places = base, joined
    if os.path.commonpath(places) != places[0]:
        raise ValueError(f'{os.fspath(path)!r} leaves the folder {os.fspath(root)!r}')
    return Path(joined)
