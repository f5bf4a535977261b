"""Write files atomically, and keep paths inside of a folder."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

StrPath = str | os.PathLike[str]


@contextmanager
def atomic_write(path: StrPath, mode: str = 'wb') -> Iterator[IO[Any]]:
    """Open a file for atomic writing.

    The content is written to a hidden file in the same folder (``.NAME.XXXX.tmp``),
    which replaces ``path`` when the block ends without an error and is removed
    otherwise: ``path`` has either its old or all of its new content. Folders are
    created.

    Args:
        path: Path of the file.
        mode: ``'wb'``, or ``'w'`` for UTF-8.

    Yields:
        The open file.

    Raises:
        ValueError: If ``mode`` is neither ``'w'`` nor ``'wb'``.
        OSError: If the folder is not writable.
    """
    if mode not in ('w', 'wb'):
        raise ValueError(f"mode must be 'w' or 'wb', got {mode!r}")
    encoding = 'utf-8' if mode == 'w' else None
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile: only the owner may read its files.
    part = path.parent / f'.{path.name}.{secrets.token_hex(4)}.tmp'
    try:
        with open(part, mode.replace('w', 'x'), encoding=encoding) as file:
            yield file
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def sha256_of(path: StrPath) -> str:
    """Return the hexadecimal SHA-256 of the content of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def inside(root: StrPath, path: StrPath) -> Path:
    """Join a folder and a path that must stay inside of it.

    Symbolic links are not resolved, since folders of a data root are often links.

    Args:
        root: Folder.
        path: Path relative to ``root``, or absolute and below it.

    Returns:
        ``root / path`` with every ``..`` resolved; use it in place of ``path``.

    Raises:
        ValueError: If the path leaves ``root``.
    """
    base = os.path.abspath(root)
    joined = os.path.abspath(os.path.join(base, path))
    if os.path.commonpath((base, joined)) != base:
        raise ValueError(f'{os.fspath(path)!r} leaves the folder {os.fspath(root)!r}')
    return Path(joined)
