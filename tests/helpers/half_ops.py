"""Operations of the package that autocast runs in half precision."""

import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import mmseg_wsss

HALF = (torch.float16, torch.bfloat16)
PACKAGE = str(Path(mmseg_wsss.__file__).parent)
# These round nothing.
EXACT = ('amax', 'cat', 'clone', 'copy_', 'index', 'relu', 'roll', 'stack', 'where')
# Dropout of features is part of a network, wherever it is written.
DROPOUT = ('perturb', 'complementary_dropout')
# Layers compute in half precision by the choice of autocast.
NETWORKS = (
    f'{PACKAGE}/models/backbones/',
    f'{PACKAGE}/models/decode_heads/',
    *(f'/{name}/' for name in ('mmseg', 'mmpretrain', 'mmcv', 'torch/nn/modules')),
)


class HalfOps(TorchDispatchMode):
    """Note where the package, outside its networks, rounds to half precision.

    Views and operations that only move values round nothing and are left out.

    Attributes:
        found: File and line of each operation, with its name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._schema.name.split('::')[-1]
        returned = func._schema.returns[0].alias_info if func._schema.returns else None
        view = returned is not None and not returned.is_write
        if not view and name not in EXACT and _is_half(out):
            place = _place()
            if place:
                self.found.add(f'{place} {name}')
        return out


def _is_half(out: Any) -> bool:
    return any(
        isinstance(x, torch.Tensor) and x.dtype in HALF for x in tree_leaves(out)
    )


def _place() -> str:
    """File and line of the package that called an operation; '' within a network."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if any(part in file for part in NETWORKS) or name in DROPOUT:
            return ''
        if file.startswith(PACKAGE) and name != '<listcomp>':
            return f'{file[len(PACKAGE) + 1 :]}:{frame.f_lineno}'
        frame = frame.f_back
    return ''
