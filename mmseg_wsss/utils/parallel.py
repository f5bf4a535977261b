"""Map a function over many files in several processes and show the progress."""

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import torch

from .progress import track

Item = TypeVar('Item')
Result = TypeVar('Result')


def _ignore_interrupts() -> None:
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

    Leaving the loop early, by Ctrl-C as well, cancels pending items and waits only for
    the running ones. An exception of ``function`` is raised in place of its result.

    Args:
        function: Function; it must be picklable if ``workers`` is positive.
        items: Arguments of the function.
        workers: Number of processes; 0 uses this process.
        description: Title of the progress bar.
        progress: Whether to show the progress on standard error, see :func:`track`.
        chunk_size: Number of items to send to a process at once.

    Yields:
        The results.

    Raises:
        ChildProcessError: If a process was terminated from outside.
        ValueError: If ``workers`` is negative.
    """
    if workers < 0:
        raise ValueError(f'workers must be at least 0, got {workers}')
    items = list(items)
    with _named_deaths(), ExitStack() as stack:
        results: Iterable[Result] = map(function, items)
        if workers > 0 and len(items) > 1:
            pool = ProcessPoolExecutor(
                min(workers, len(items)),
                # Other start methods import the package and torch in every process.
                multiprocessing.get_context(
                    'fork' if sys.platform == 'linux' else None
                ),
                initializer=_ignore_interrupts,
            )
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
            # Starts the processes before the thread of the progress bar, which must not
            # be forked.
            results = pool.map(function, items, chunksize=chunk_size)
        if progress:
            results = track(results, len(items), description)
        yield from results


@contextmanager
def _named_deaths() -> Iterator[None]:
    try:
        yield
    except BrokenProcessPool as error:
        raise ChildProcessError(
            'a worker process was ended from outside, as the system does when memory '
            'runs out; use fewer workers'
        ) from error


@contextmanager
def single_thread() -> Iterator[None]:
    """Limit torch to one thread: OpenMP does not survive a fork."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
