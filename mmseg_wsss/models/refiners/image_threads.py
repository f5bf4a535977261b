"""Process images in parallel on the cores of a CPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar('Item')

# With fewer threads per image, waiting costs more than they save; see `for_each_image`.
MIN_THREADS = 4


def for_each_image(function: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call a function, which runs on the CPU, on all items, several at a time.

    torch splits every operation among its threads, which wait for each other at its
    end. A CRF consists of hundreds of operations of about a millisecond; if another
    program (a data loader) uses the cores, each wait may take several milliseconds, and
    two threads were measured to take ten times as long as one. Therefore the threads
    are divided among the images, and an image gets several only if at least
    ``MIN_THREADS`` remain for each.

    The inference mode of the caller applies in the threads, gradients are off, and
    torch's number of threads is restored at the end.

    Args:
        function: Function of one item.
        items: Items.

    Example:
        >>> done = []
        >>> for_each_image(done.append, [1, 2, 3])
        >>> sorted(done)
        [1, 2, 3]
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    per_image = threads // max(workers, 1)
    per_image = per_image if per_image >= MIN_THREADS else 1
    if workers <= 1 and per_image == threads:
        for item in items:
            function(item)
        return
    inference = torch.is_inference_mode_enabled()

    def run(item: Item) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            function(item)

    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(per_image,)
        ) as pool:
            list(pool.map(run, items))
    finally:
        # The number set in a thread is also the default of threads created later.
        torch.set_num_threads(threads)
