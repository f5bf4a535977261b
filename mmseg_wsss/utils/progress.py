"""Show the progress of long work: a bar on a terminal, plain lines elsewhere."""

import re
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Item = TypeVar('Item')
SECONDS = 10.0  # between two lines
COUNTS = re.compile(r'(?:\[\s*|: )(\d+)/(\d+)(?:\]|,|\s|$)')


class ProgressBar:
    """Show the progress of one piece of work, as a context manager.

    On a terminal it shows a bar. Elsewhere it writes one line at the start, at most one
    every 10 seconds, and one at the end, such as ``training: 40/240, 12 s, loss 0.71``.

    Args:
        title: Name of the work.
        total: Number of parts of the work; None if not known yet.
        done: Number of parts that are already finished.
        stream: Stream to write to; standard error by default.
        disable: Whether to write nothing.

    Example:
        >>> with ProgressBar('reading', total=1, stream=sys.stdout) as bar:
        ...     bar.advance()
        reading: 0/1, 0 s
        reading: 1/1, 0 s
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        done: int = 0,
        stream: IO[str] | None = None,
        disable: bool = False,
    ) -> None:
        self.title, self.total, self.done, self.note = title, total, done, ''
        self.stream = stream or sys.stderr
        self.disable = disable
        self.begin = time.monotonic()
        self._bar: Progress | None = None
        self._written = -1
        self._next_line = 0.0

    def __enter__(self) -> 'ProgressBar':
        if not self.disable and self.stream.isatty():
            self._bar = Progress(
                TextColumn('{task.description}'),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=Console(file=self.stream),
            )
            self._bar.add_task(self.title, total=self.total, completed=self.done)
            self._bar.start()
            # Without __exit__, as after an error in a hook's training, the bar would
            # go on and the cursor stay hidden.
            self._stop = weakref.finalize(self, self._bar.stop)
        self._show(at_once=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._show(at_once=True)
        if self._bar is not None:
            self._stop()

    def advance(self, note: str = '') -> None:
        """Count one more part, with a note such as the loss."""
        self.update(self.done + 1, note=note)

    def update(self, done: int, total: int | None = None, note: str = '') -> None:
        """Set the number of finished parts."""
        self.done, self.note = done, note
        self.total = self.total if total is None else total
        self._show()

    def _show(self, at_once: bool = False) -> None:
        if self._bar is not None:
            title = f'{self.title}, {self.note}' if self.note else self.title
            task = self._bar.task_ids[0]
            self._bar.update(
                task, description=title, completed=self.done, total=self.total
            )
            return
        now = time.monotonic()
        due = at_once or now >= self._next_line
        if self.disable or not due or self._written == self.done:
            return
        note = f', {self.note}' if self.note else ''
        counts = '' if self.total is None else f'{self.done}/{self.total}, '
        text = f'{self.title}: {counts}{now - self.begin:.0f} s{note}'
        print(text, file=self.stream, flush=True)
        self._written, self._next_line = self.done, now + SECONDS


def track(
    items: Iterable[Item], total: int, title: str, stream: IO[str] | None = None
) -> Iterator[Item]:
    """Yield items and show the progress; an item is done once the next is requested."""
    with ProgressBar(title, total, stream=stream) as bar:
        for item in items:
            yield item
            bar.advance()


@contextmanager
def progress_of_log(
    title: str, log: Path, stream: IO[str], disable: bool = False
) -> Iterator[None]:
    """Show the progress that a command writes to its log, while the context lasts.

    Args:
        title: Name of the work.
        log: Log file of the command, see :func:`counts_of_log`.
        stream: Stream to write to.
        disable: Whether to write nothing.
    """
    start = log.stat().st_size if log.is_file() else 0
    ended = threading.Event()

    def follow(bar: ProgressBar) -> None:
        while not ended.wait(1.0):
            counts = counts_of_log(log, start)
            if counts is not None:
                bar.update(*counts)

    with ProgressBar(title, None, stream=stream, disable=disable) as bar:
        thread = threading.Thread(target=follow, args=(bar,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def counts_of_log(path: Path, start: int = 0) -> tuple[int, int] | None:
    """Return the last progress in a log: the finished parts and their total.

    Args:
        path: Log of MMEngine (``Iter(train) [ 50/600]``), or log with lines of
            :class:`ProgressBar`.
        start: Position in the file to read from, in bytes.

    Returns:
        Both numbers, or None if the file or its last 4096 bytes have no progress.
    """
    if not path.is_file():
        return None
    with path.open('rb') as file:
        file.seek(max(start, path.stat().st_size - 4096))
        found = COUNTS.findall(file.read().decode(errors='replace'))
    return (int(found[-1][0]), int(found[-1][1])) if found else None
