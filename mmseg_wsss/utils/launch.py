"""Join and leave a process group; report errors of a tool's user."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.dist import init_dist, is_distributed


def init_processes(launcher: str) -> None:
    """Join the process group of a launcher.

    MMEngine's function needs a GPU. Without one this function starts the gloo backend,
    and MMEngine's Runner uses the existing group.

    Args:
        launcher: ``'none'`` (one process, no group), ``'pytorch'`` (torchrun),
            ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If there is no GPU and the launcher is not torchrun.
    """
    if launcher == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        init_dist(launcher)
    elif launcher == 'pytorch':
        torch.distributed.init_process_group('gloo')
    else:
        raise ValueError(
            f"expected the launcher 'none' or 'pytorch' without a GPU, got {launcher!r}"
        )


def leave_processes() -> None:
    """Leave the process group, if there is one, and end its threads.

    Tools call it last, when no variable refers to the runner any more. Threads that
    still run at the exit of Python may abort the process, and the launcher then reports
    a finished training as failed. A Runner is part of reference cycles and its wrapped
    model refers to the group: both are collected here, so that the threads end.
    """
    if is_distributed():
        torch.distributed.destroy_process_group()
        gc.collect()


@contextmanager
def one_line_errors(*others: type[Exception]) -> Iterator[None]:
    """Exit with one line in place of a traceback if the input of a tool is wrong.

    It also serves as a decorator. Tools leave the training and testing itself out of
    it, since a traceback helps there.

    Args:
        *others: Exceptions besides missing and existing files and ``ValueError``.
    """
    known: tuple[type[Exception], ...] = (
        FileNotFoundError,
        FileExistsError,
        ValueError,
    )
    try:
        yield
    except known + others as error:
        text = error.args[0] if isinstance(error, KeyError) else error
        raise SystemExit(f'error: {text}') from error
