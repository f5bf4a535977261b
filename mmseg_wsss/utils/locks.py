"""Lock files between processes."""

import errno
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .files import StrPath

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@contextmanager
def file_lock(path: StrPath, busy: str | None = None) -> Iterator[IO]:
    """Lock a file for this process and those that inherit it.

    On a file system without locks, a line is printed instead.

    Args:
        path: Lock file; it and its folder are created if missing.
        busy: Message of the error if another process has the lock; None prints a line
            and waits.

    Yields:
        The open file.

    Raises:
        BlockingIOError: If another process has the lock, and ``busy`` is given.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as lock:
        try:
            _lock(lock, path, busy)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(
                f'{path.parent} is not locked, since its file system has no locks '
                f'({error.strerror}): run no second command there at the same time',
                file=sys.stderr,
            )
        try:
            yield lock
        finally:  # forked workers may still have the file open
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)


def _lock(lock: IO, path: Path, busy: str | None) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if busy is not None:
            raise BlockingIOError(busy) from error
        print(f'waiting for another process in {path.parent}', file=sys.stderr)
        fcntl.flock(lock, fcntl.LOCK_EX)
