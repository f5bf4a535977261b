"""Start and end of a process group, on GPUs and on machines without one."""

import gc

import torch
from mmengine.dist import init_dist, is_distributed


def init_processes(launcher: str) -> None:
    """Join the process group of a launcher; with ``'none'`` there is one process.

    MMEngine's own function needs a GPU. Where there is none, this one starts the gloo
    backend; MMEngine's Runner then finds the group and leaves it as it is.

    Args:
        launcher: ``'none'``, ``'pytorch'`` (torchrun), ``'slurm'`` or ``'mpi'``.

    Raises:
        ValueError: If a machine without a GPU is asked for anything but torchrun.
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

    Called at the end of a tool, by which no variable may hold the runner any more.
    Threads that still run when Python exits may abort the process, and the launcher
    then reports a finished training as failed. A Runner lies in reference cycles and
    its wrapped model holds the group: they are collected, so that the threads end here.
    """
    if is_distributed():
        torch.distributed.destroy_process_group()
        gc.collect()
