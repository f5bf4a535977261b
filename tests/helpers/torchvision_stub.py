"""mmpretrain where torchvision cannot be imported."""

import sys
from types import ModuleType

from pytest import MonkeyPatch


def stub_torchvision(monkeypatch: MonkeyPatch) -> None:
    """Let ``mmpretrain.models`` be imported without torchvision.

    mmpretrain asks for it though its backbones do not use it, and the build that pip
    finds does not import beside a torch for CPUs.
    """
    try:
        import torchvision.ops.boxes  # noqa: F401
    except (ImportError, RuntimeError):
        for name in ('torchvision', 'torchvision.ops', 'torchvision.ops.boxes'):
            stub = ModuleType(name)
            stub.__version__ = '0'  # the log of MMEngine's Runner has it
            monkeypatch.setitem(sys.modules, name, stub)
