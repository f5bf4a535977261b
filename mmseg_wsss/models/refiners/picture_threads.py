"""Pictures side by side on the cores of a CPU."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar('Item')


def for_each_picture(function: Callable[[Item], None], items: Sequence[Item]) -> None:
    """Call ``function`` on every item, on several at once where torch has threads.

    torch splits every operation among its threads; where operations are as short as a
    CRF's, a thread a picture wastes less. The threads share out torch's number of them,
    which is restored at the end, and inherit the caller's inference mode; gradients are
    off. One item, or one thread, runs in the caller.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items))
    if workers <= 1:
        for item in items:
            function(item)
        return
    inference = torch.is_inference_mode_enabled()

    def run(item: Item) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            function(item)

    try:
        with ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
        ) as pool:
            list(pool.map(run, items))
    finally:
        # A thread's own number is also the default of threads to come.
        torch.set_num_threads(threads)
