"""Versions, and the speed of memory and of matrix products."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import torch

from .measuring import Setting, milliseconds

SHARE = 3
PACKAGES = ('triton', 'deepspeed', 'onedl-mmcv', 'onedl-mmsegmentation', 'mmcv')


def rows(setting: Setting) -> Iterator[dict]:
    row = {'what': 'environment', 'ok': True, 'torch': torch.__version__}
    row['python'] = platform.python_version()
    for name in PACKAGES:
        try:
            row[name] = version(name)
        except PackageNotFoundError:
            row[name] = None
    row['copy_GBs'] = copy_speed(setting)
    side = 64 if setting.tiny else 8192
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        left, right = torch.randn(2, side, side, device=setting.device).to(dtype)
        took = milliseconds({'': lambda a=left, b=right: a @ b}, setting)['']
        row[f'{str(dtype)[6:]}_TFLOPs'] = 2 * side**3 / took / 1e9
    yield row


def copy_speed(setting: Setting) -> float:
    """Return the gigabytes a second, read and written, of a copy on the device."""
    source = torch.zeros(2 ** (10 if setting.tiny else 28), device=setting.device)
    target = torch.empty_like(source)
    took = milliseconds({'': lambda: target.copy_(source)}, setting)['']
    return 2 * source.nbytes / took / 1e6
