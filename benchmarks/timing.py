"""Measure times and memory for the benchmarks, and describe machine and device."""

import argparse
import ctypes
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_map

from mmseg_wsss.pipelines.provenance import processor


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--device``."""
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')


def to_device(value: Any, device: str) -> Any:
    """Move tensors, modules and data samples, also in containers, to a device."""
    return tree_map(lambda x: x.to(device) if hasattr(x, 'to') else x, value)


def synchronize(device: str) -> None:
    """Wait until the device has finished all queued work."""
    if device == 'cuda':
        torch.cuda.synchronize()


def seconds_of(call: Callable[[], object], device: str) -> dict[str, float]:
    """Return the wall time and the CPU time (summed over threads) of a call."""
    synchronize(device)
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    synchronize(device)
    cpu = time.process_time() - cpu
    return {'wall': time.perf_counter() - wall, 'cpu': cpu}


def milliseconds_of(call: Callable[[], object], device: str) -> float:
    """Return the milliseconds of a call; on a GPU, between two CUDA events."""
    if device != 'cuda':
        return 1e3 * seconds_of(call, device)['wall']
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end)


def fastest(
    calls: dict[str, Callable[[], object]],
    device: str,
    repeats: int,
    warm_up: bool = True,
) -> dict[str, dict[str, float]]:
    """Return the least wall and CPU seconds of every call; the calls take turns.

    Args:
        calls: Calls by name.
        device: ``'cpu'`` or ``'cuda'``.
        repeats: Number of measured rounds.
        warm_up: Whether to run an unmeasured round first.
    """
    best = {name: {'wall': math.inf, 'cpu': math.inf} for name in calls}
    for number in range(repeats + warm_up):
        for name, call in calls.items():
            took = seconds_of(call, device)
            if number >= warm_up:
                best[name] = {key: min(best[name][key], took[key]) for key in took}
    return best


def peak_mib(call: Callable[[], object], device: str = 'cpu') -> float:
    """Return the maximum growth of the process's memory during a call, in MiB.

    On a GPU, this is the memory of PyTorch's allocator. On a CPU (Linux), it is the
    resident memory: call it in a fresh process, after a small call that loads all
    libraries.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # free memory in the heap would hide growth
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    before = _resident_kib('VmRSS')
    call()
    return (_resident_kib('VmHWM') - before) / 1024


def machine(args: argparse.Namespace) -> dict:
    """Describe the machine, with the number of threads and the device of ``args``."""
    cuda = getattr(args, 'device', 'cpu') == 'cuda'
    return {
        'cpu': processor(),
        'threads': args.threads,
        'gpu': torch.cuda.get_device_name() if cuda else None,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }


def _resident_kib(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])
