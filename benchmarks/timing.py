"""Seconds, memory and machine of the benchmarks."""

import argparse
import ctypes
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch


def seconds_of(call: Callable[[], object], device: str) -> dict[str, float]:
    """Return the wall time and the CPU time (summed over threads) of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if device == 'cuda':
        torch.cuda.synchronize()
    cpu = time.process_time() - cpu
    return {'wall': time.perf_counter() - wall, 'cpu': cpu}


def peak_mib(call: Callable[[], object], device: str = 'cpu') -> float:
    """Return by how many MiB the memory of the process grows at most during a call.

    On the GPU it is the memory of the allocator. On the CPU (Linux) it is the resident
    memory: run it in a fresh process, after a small call that loads all libraries.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # memory that is free already would hide growth
    Path('/proc/self/clear_refs').write_text('5')  # resets the peak
    before = _resident_kib('VmRSS')
    call()
    return (_resident_kib('VmHWM') - before) / 1024


def machine(args: argparse.Namespace) -> dict:
    """Describe the machine, with the number of threads and the device of ``args``."""
    cpu = platform.processor() or platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file():
        names = [s for s in info.read_text().splitlines() if s.startswith('model name')]
        cpu = names[0].split(':')[1].strip() if names else cpu
    cuda = getattr(args, 'device', 'cpu') == 'cuda'
    return {
        'cpu': cpu,
        'threads': args.threads,
        'gpu': torch.cuda.get_device_name() if cuda else None,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }


def _resident_kib(key: str) -> int:
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(line for line in lines if line.startswith(key)).split()[1])
