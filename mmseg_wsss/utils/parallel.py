"""One function over many files: in order, on several processes, with a bar."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Item = TypeVar('Item')
Result = TypeVar('Result')


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def parallel_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int = 0,
    description: str = '',
    progress: bool = False,
    chunk_size: int = 8,
) -> Iterator[Result]:
    """Yield ``function(item)`` for every item, in their order.

    Leaving the loop early, also by Ctrl-C, drops what has not begun and waits only for
    the items at work. An exception of ``function`` is raised where its result is due.

    Args:
        function: Of a module's top level where ``workers`` is positive, since it is
            sent to other processes.
        items: What to work on.
        workers: Number of processes; 0 works in this one.
        description: Text beside the bar.
        progress: Whether to show a bar, on standard error.
        chunk_size: Items sent to a process at once.

    Yields:
        The results.

    Raises:
        ValueError: ``workers`` is negative.
    """
    if workers < 0:
        raise ValueError(f'workers must be at least 0, got {workers}')
    items = list(items)
    with ExitStack() as stack:
        results: Iterable[Result] = map(function, items)
        if workers > 0 and len(items) > 1:
            pool = ProcessPoolExecutor(
                min(workers, len(items)),
                # Others than fork import all of the package, and torch, once a process.
                multiprocessing.get_context(
                    'fork' if sys.platform == 'linux' else None
                ),
                initializer=_leave_interrupts_to_the_parent,
            )
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            # Starts the processes: before the bar's thread, which must not be forked.
            results = pool.map(function, items, chunksize=chunk_size)
        if progress:
            bar = stack.enter_context(_bar())
            results = bar.track(results, len(items), description=description)
        yield from results


def _bar() -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
    )
