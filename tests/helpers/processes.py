"""Run a function in several gloo processes on this machine."""

import multiprocessing
import os
import signal
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import (
    ProcessContext,
    ProcessExitedException,
    ProcessRaisedException,
    start_processes,
)


def run_processes(
    fn: Callable[..., Any],
    world_size: int = 2,
    args: tuple = (),
    timeout: float = 120.0,
) -> list[Any]:
    """Call ``fn(rank, *args)`` in ``world_size`` processes of one gloo group.

    The group is up while the function runs, on one thread a process, and the variables
    that torchrun sets (RANK, WORLD_SIZE, ...) are set. Processes are forked from a
    server that has imported this package once (spawned where there is no such server);
    it keeps the environment of its first use, so pass what changes as an argument.

    Args:
        fn: Function of a module that a fresh interpreter can import.
        world_size: Number of processes, at least 1.
        args: Arguments that pickle.
        timeout: Seconds after which all processes are ended.

    Returns:
        What the function gave on each rank, by rank: tensors, numbers, strings, None
        and containers of them.

    Raises:
        torch.multiprocessing.ProcessRaisedException: With the traceback of the rank
            that raised first; the others are ended.
        torch.multiprocessing.ProcessExitedException: If a process died.
        TimeoutError: After ``timeout`` seconds.
    """
    if world_size < 1:
        raise ValueError(f'world_size must be at least 1, got {world_size}')
    with tempfile.TemporaryDirectory() as folder:
        context = start_processes(
            _run_rank,
            (world_size, fn, args, folder, _free_port(), timeout),
            nprocs=world_size,
            join=False,
            start_method=_start_method(),
        )
        assert context is not None
        try:
            _join(context, timeout)
        except ProcessRaisedException as error:
            _raise_cause(context, folder, error)
        return [
            torch.load(_result_file(folder, rank), weights_only=True)
            for rank in range(world_size)
        ]


def _run_rank(
    rank: int,
    world_size: int,
    fn: Callable[..., Any],
    args: tuple,
    folder: str,
    port: int,
    timeout: float,
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        LOCAL_WORLD_SIZE=str(world_size),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    if Path('/sys/class/net/lo').exists():  # the host's own name may not resolve
        os.environ.setdefault('GLOO_SOCKET_IFNAME', 'lo')
    torch.set_num_threads(1)
    dist.init_process_group(
        'gloo',
        init_method=Path(folder, 'store').as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=timeout),
    )
    try:
        torch.save(fn(rank, *args), _result_file(folder, rank))
        dist.barrier()
    except BaseException:
        _note_failure(folder, rank)
        raise
    finally:
        dist.destroy_process_group()


def _note_failure(folder: str, rank: int) -> None:
    """Keep the traceback of the rank that failed first.

    It is written while the group is still up: the other ranks fail only afterwards,
    since the connection to this one is lost.
    """
    note = Path(folder, f'failure_{rank}')
    note.write_text(f'rank {rank}:\n{traceback.format_exc()}')
    with suppress(FileExistsError):
        os.link(note, Path(folder, 'failure'))


def _raise_cause(
    context: ProcessContext, folder: str, error: ProcessRaisedException
) -> None:
    """Raise what went wrong first, which need not be what was noticed first."""
    for rank, process in enumerate(context.processes):
        if process.exitcode not in (None, 0, 1, -signal.SIGTERM):
            raise ProcessExitedException(
                f'rank {rank} died with exit code {process.exitcode}',
                error_index=rank,
                error_pid=process.pid,
                exit_code=process.exitcode,
            ) from error
    failure = Path(folder, 'failure')
    if failure.exists():
        raise ProcessRaisedException(
            failure.read_text(), error.error_index, error.error_pid
        ) from None
    raise error


def _start_method() -> str:
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return 'spawn'
    multiprocessing.set_forkserver_preload(['mmseg_wsss'])
    return 'forkserver'


def _join(context: ProcessContext, timeout: float) -> None:
    end = time.monotonic() + timeout
    try:
        while not context.join(max(end - time.monotonic(), 0.01)):
            if time.monotonic() >= end:
                raise TimeoutError(
                    f'{len(context.processes)} processes were not done after '
                    f'{timeout} s'
                )
    finally:
        for process in context.processes:
            if process.is_alive():
                process.kill()
            process.join()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def _result_file(folder: str, rank: int) -> str:
    return os.path.join(folder, f'{rank}.pt')
