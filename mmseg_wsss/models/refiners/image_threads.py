"""Images side by side on the cores of a CPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar('Item')

# Fewer threads save less than they risk, see `for_each_image`.
MIN_SHARE = 4


def for_each_image(function: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call ``function``, which works on the CPU, on every item, several at once.

    torch splits every operation among its threads, which meet at the end of each. A CRF
    is hundreds of operations of about a millisecond; where another program (a data
    loader) shares the cores, a meeting may take several, and two threads were seen to
    take ten times as long as one. So the threads share out the images, and an image
    gets several only where that leaves ``MIN_SHARE`` or more for each.

    The caller's inference mode holds in the threads, gradients are off, and the number
    of threads is as before at the end.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    share = threads // max(workers, 1)
    share = share if share >= MIN_SHARE else 1
    if workers <= 1 and share == threads:
        for item in items:
            function(item)
        return
    inference = torch.is_inference_mode_enabled()

    def run(item: Item) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            function(item)

    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(share,)
        ) as pool:
            list(pool.map(run, items))
    finally:
        # A thread's own number is also the default of threads to come.
        torch.set_num_threads(threads)
