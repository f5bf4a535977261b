"""Check the machine: GPUs, compiler, disk, CPUs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from .findings import NOTE, OK, PROBLEM, Finding, origin, try_import

MIN_DISK_GB = 5
MIN_SHM_GB = 1
GB = 1 << 30


def check_python() -> Iterator[Finding]:
    """Report the interpreter."""
    yield Finding(OK, f'Python {sys.version.split()[0]} in {sys.prefix}')


def check_torch() -> Iterator[Finding]:
    """Check torch against the driver and the GPUs."""
    if origin('torch') is None:
        return
    torch = try_import('torch')
    if isinstance(torch, str):
        yield Finding(PROBLEM, f'torch cannot be imported: {torch}', 'reinstall torch')
        return
    driver = nvidia_driver()
    cuda = torch.version.cuda
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield check_device(torch, index, driver)
        yield check_triton()
    elif driver and cuda is None:
        text = f'torch has no CUDA, although this machine has NVIDIA driver {driver}'
        yield Finding(
            PROBLEM, text, 'install a CUDA build: https://pytorch.org/get-started'
        )
    elif driver:
        text = f'torch with CUDA {cuda} finds no GPU under NVIDIA driver {driver}'
        remedy = (
            'check CUDA_VISIBLE_DEVICES and nvidia-smi; an old driver needs an update, '
            'or a torch of an older CUDA'
        )
        yield Finding(PROBLEM, text, remedy)
    else:
        yield Finding(NOTE, 'no NVIDIA GPU; torch computes on the CPU')


def check_device(torch: ModuleType, index: int, driver: str) -> Finding:
    """Check that torch was compiled for the architecture of a GPU."""
    major, minor = torch.cuda.get_device_capability(index)
    archs = torch.cuda.get_arch_list()
    text = (
        f'GPU {index}: {torch.cuda.get_device_name(index)}, capability '
        f'{major}.{minor}, CUDA {torch.version.cuda}, driver {driver or "unknown"}'
    )
    if runs_on((major, minor), archs):
        return Finding(OK, text)
    remedy = f'install a torch that was compiled for sm_{major}{minor}'
    return Finding(PROBLEM, f'{text}; torch has {", ".join(archs)} only', remedy)


def runs_on(capability: tuple[int, int], archs: Iterable[str]) -> bool:
    """Return whether code of ``archs`` (``sm_90``, ``compute_90``) runs on a GPU.

    Machine code runs on GPUs with the same major version and an equal or newer minor
    version; PTX (``compute_*``) runs on every GPU with an equal or newer version.
    """
    for arch in archs:
        match = re.fullmatch(r'(sm|compute)_(\d+)(\d)[a-z]?', arch)
        if match is None:
            continue
        compiled = int(match[2]), int(match[3])
        same = compiled[0] == capability[0] or match[1] == 'compute'
        if same and compiled <= capability:
            return True
    return False


def nvidia_driver() -> str:
    """Return the version of the NVIDIA driver, or '' if there is none."""
    command = shutil.which('nvidia-smi')
    if command is None:
        return ''
    query = [command, '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ''
    text = done.stdout if done.returncode == 0 else ''
    return text.strip().partition('\n')[0].strip()


def check_triton() -> Finding:
    """Check Triton, the compiler of the GPU kernels; called if a GPU is available."""
    triton = 'it is not installed' if origin('triton') is None else try_import('triton')
    if isinstance(triton, str):
        text = f'no Triton ({triton}); LocalAffinityRefiner and torch.compile need it'
        return Finding(
            PROBLEM, text, 'pip install triton, in the version that torch names'
        )
    return Finding(OK, f'Triton {triton.__version__}')


def check_compiler() -> Iterator[Finding]:
    """Find the C++ compiler that ``torch.compile`` and mmcv's operators need."""
    name = os.environ.get('CXX') or 'c++'
    path = shutil.which(name.split()[0]) or shutil.which('g++')
    if path:
        yield Finding(OK, f'C++ compiler {path}')
    else:
        text = (
            f'no C++ compiler {name}; torch.compile, make env-ops and make env-crf '
            'need one (Debian: apt install g++; or name one with CXX)'
        )
        yield Finding(NOTE, text)


def check_disk(work_dir: Path) -> Iterator[Finding]:
    """Check the free space of the work folder and the size of the shared memory."""
    place = work_dir.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / GB
    text = f'{free:.1f} GB free for {work_dir} (in {place})'
    if not os.access(place, os.W_OK):
        yield Finding(PROBLEM, f'{place} is not writable', 'name another --work-dir')
    elif free < MIN_DISK_GB:
        remedy = f'free some: checkpoints of a run take up to {MIN_DISK_GB} GB'
        yield Finding(PROBLEM, text, remedy)
    else:
        yield Finding(OK, text)
    shm = Path('/dev/shm')  # noqa: S108
    if shm.is_dir():
        total = shutil.disk_usage(shm).total / GB
        if total < MIN_SHM_GB:
            text = f'{total:.2f} GB of shared memory ({shm}): data loader workers die'
            remedy = 'start the container with --shm-size=8g, or set num_workers=0'
            yield Finding(PROBLEM, text, remedy)


def check_threads() -> Iterator[Finding]:
    """Compare the number of threads per process with the CPUs."""
    affinity = getattr(os, 'sched_getaffinity', None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    threads = os.environ.get('OMP_NUM_THREADS', '')
    text = f'{cpus} CPUs, OMP_NUM_THREADS={threads or "unset"}'
    if not threads:
        yield Finding(OK, f'{text} (every process takes all of them)')
    elif not threads.isdecimal() or not 1 <= int(threads) <= cpus:
        yield Finding(
            PROBLEM, text, f'set OMP_NUM_THREADS to a number from 1 to {cpus}'
        )
    else:
        yield Finding(OK, text)
