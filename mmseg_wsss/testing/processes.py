"""Run a function in several gloo processes on this machine."""

import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessContext, start_processes


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
        torch.multiprocessing.ProcessRaisedException: With the traceback of the first
            process that raised; the others are ended.
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
        _join(context, timeout)
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
    finally:
        dist.destroy_process_group()


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
