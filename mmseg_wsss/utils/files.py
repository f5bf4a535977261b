"""Read and write files, and keep paths inside a folder."""

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
    which replaces ``path`` if the block ends without an error and is removed otherwise:
    ``path`` has either its old or all of its new content. Missing folders are created.

    Args:
        path: Path of the file.
        mode: ``'wb'``, or ``'w'`` for UTF-8.

    Yields:
        The open file.

    Raises:
        ValueError: If ``mode`` is neither ``'w'`` nor ``'wb'``.
        OSError: If the folder is not writable or the disk is full; the error names the
            file.
    """
    if mode not in ('w', 'wb'):
        raise ValueError(f"mode must be 'w' or 'wb', got {mode!r}")
    encoding = 'utf-8' if mode == 'w' else None
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not with tempfile, since only the owner may read the files that it creates.
    part = path.parent / f'.{path.name}.{secrets.token_hex(4)}.tmp'
    try:
        with open(part, mode.replace('w', 'x'), encoding=encoding) as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # missing if the disk is full
        raise
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def read_utf8(path: StrPath) -> str:
    """Return the text of a file, without a byte-order mark.

    Raises:
        ValueError: If the file is not encoded in UTF-8; the message names the file.
        OSError: If the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(
            f'{path}: expected UTF-8 text: {error}; save it as UTF-8'
        ) from error


def sha256_of(path: StrPath) -> str:
    """Return the hexadecimal SHA-256 of the content of a file."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def inside(root: StrPath, path: StrPath) -> Path:
    """Join a folder and a path that must stay inside it.

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
