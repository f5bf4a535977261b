"""Emulate a CUDA device on the CPU, to count launches, host waits and copies.

Tensors report ``cuda:0``, so code takes its branches for GPUs, but the CPU does the
arithmetic. A Triton kernel counts as one launch and computes nothing. Only forward
passes are supported, and times are meaningless.
"""

import importlib.util
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

CPU, CUDA = torch.device('cpu'), torch.device('cuda:0')
# Operations that make the host wait for their result.
WAITS = re.compile(
    '_local_scalar_dense|nonzero|masked_select|equal|is_nonzero|_unique2|unique_dim|'
    'unique_consecutive|bincount'
).fullmatch
# Operations that launch no kernel.
FREE = re.compile(
    '_?(unsafe_)?view|view_as|_?reshape(_alias)?|expand|permute|transpose|t|slice|'
    'select|(un)?squeeze|detach|alias|as_strided|split|split_with_sizes|chunk|unbind|'
    'unfold|narrow|diagonal|lift_fresh|numel|sym_size|stride|is_same_size|'
    '(un)?flatten|(new_)?empty|empty_like|(new_)?empty_strided|resize_|'
    '_local_scalar_dense'
).fullmatch
INDEXING = {'index', 'index_put', 'index_put_', '_index_put_impl_', '_unsafe_index'}


class Counts:
    """Counts by ``operation @ file:line``.

    Attributes:
        launches: Kernels; an operation counts as one.
        waits: Number of times that the host waits for the device.
        copies: Copies from host to device.
        mixed: Operations on tensors of both devices, and Triton kernels outside
            ``torch.cuda.device_of``, which would fail on a second GPU.
    """

    def __init__(self) -> None:
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.mixed: Counter[str] = Counter()

    def totals(self) -> dict[str, int]:
        """Return the sum of each counter that is not empty; launches always."""
        sums = {name: counter.total() for name, counter in vars(self).items()}
        return {k: v for k, v in sums.items() if v or k == 'launches'}


_counts = Counts()


def count(call: Callable[[], object]) -> Counts:
    """Return the counts of a call with tensors of :func:`on_gpu`."""
    global _counts
    _counts = Counts()
    with torch.no_grad(), _emulated():
        call()
    return _counts


def on_gpu(value: Any) -> Any:
    """Move values to the emulated device.

    Tensors, also in lists, tuples and dictionaries, are copied; modules and data
    samples are changed in place.
    """
    return tree_map(_moved, value)


def _moved(value: Any) -> Any:
    if isinstance(value, nn.Module):
        for module in value.modules():
            for name, weight in module._parameters.items():
                if weight is not None:
                    moved = nn.Parameter(_moved(weight), weight.requires_grad)
                    module._parameters[name] = moved
            for name, buffer in module._buffers.items():
                module._buffers[name] = _moved(buffer)
    elif hasattr(value, 'all_items'):  # a data sample of MMEngine, or a field of it
        for name, item in value.items():
            value.set_data({name: _moved(item)})
    elif isinstance(value, Tensor) and not isinstance(value, CudaTensor):
        return CudaTensor(value.detach().clone())
    return value


class CudaTensor(Tensor):
    """Tensor on the emulated device; ``elem`` holds its values."""

    elem: Tensor

    @staticmethod
    def __new__(cls, elem: Tensor) -> 'CudaTensor':
        tensor = Tensor._make_wrapper_subclass(
            cls,
            elem.size(),
            strides=elem.stride(),
            storage_offset=elem.storage_offset(),
            dtype=elem.dtype,
            device=CUDA,
        )
        tensor.elem = elem
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    # Methods that PyTorch's bindings would not dispatch, or handle differently.

    def tolist(self) -> list:
        _note('waits', 'tolist')
        return self.elem.tolist()

    def copy_(self, src: Tensor, non_blocking: bool = False) -> Tensor:
        return torch.ops.aten.copy_(self, src, non_blocking)

    def new_tensor(self, data: Any, dtype: torch.dtype | None = None) -> Tensor:
        return torch.tensor(data, dtype=dtype or self.dtype, device=CUDA)

    def contiguous(self, memory_format=torch.contiguous_format) -> Tensor:
        if self.elem.is_contiguous(memory_format=memory_format):
            return self
        return torch.ops.aten.clone(self, memory_format=memory_format)

    def __getitem__(self, index: Any) -> Tensor:
        plain = self._index(index)
        if any(isinstance(i, Tensor | list) for i in plain):
            _note('launches', 'index')
        return CudaTensor(self.elem[plain])

    def __setitem__(self, index: Any, value: Any) -> None:
        plain = self._index(index)
        on_host = isinstance(value, Tensor) and not isinstance(value, CudaTensor)
        if on_host and value.dim() > 0:
            _note('copies', 'setitem')
        _note('launches', 'setitem')
        self.elem[plain] = _plain(value)

    def __invert__(self) -> Tensor:
        return torch.ops.aten.bitwise_not(self)

    def nonzero(self) -> Tensor:
        return torch.ops.aten.nonzero(self)

    def __contains__(self, value: Any) -> bool:
        _note('waits', 'contains')
        return value in self.elem

    def item(self) -> float:
        _note('waits', 'item')
        return self.elem.item()

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __bool__(self) -> bool:
        return bool(self.item())

    def __index__(self) -> int:
        return int(self)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.unbind(0))

    def numpy(self) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def _index(self, index: Any) -> tuple:
        items = index if isinstance(index, tuple) else (index,)
        for item in (i for i in items if isinstance(i, Tensor)):
            if not isinstance(item, CudaTensor):
                _note('copies', 'index') if item.dim() else None
            elif item.dtype in (torch.bool, torch.uint8) or item.dim() == 0:
                _note('waits', 'index')
        return tuple(map(_plain, items))


class _Generator(torch.Generator):
    """Generator on the CPU that reports the requested device."""

    def __new__(cls, device: Any = CPU) -> '_Generator':
        generator = super().__new__(cls)
        generator.reported = torch.device(device)
        return generator

    @property
    def device(self) -> torch.device:
        return self.reported


class _Mode(TorchDispatchMode):
    """Intercept operations without tensors of the device, such as ``zeros``."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})


@contextmanager
def _emulated() -> Iterator[None]:
    make = torch.tensor

    def tensor(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
        if device is None or torch.device(device).type == 'cpu':
            return make(*args, **kwargs)
        _note('copies', 'tensor')
        return CudaTensor(make(*args, **kwargs))

    patches = [
        mock.patch.object(torch, 'tensor', tensor),
        mock.patch.object(torch, 'Generator', _Generator),
        mock.patch.object(torch.cuda, '_lazy_init', lambda: None),
        mock.patch.object(torch.cuda, 'device_of', _device_of),
    ]
    if importlib.util.find_spec('triton'):
        from triton.runtime.jit import KernelInterface

        patches.append(mock.patch.object(KernelInterface, '__getitem__', _launcher))
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        stack.enter_context(_Mode())
        yield


_guards: list[Tensor] = []


@contextmanager
def _device_of(tensor: Tensor) -> Iterator[None]:
    _guards.append(tensor)
    try:
        yield
    finally:
        _guards.pop()


def _launcher(kernel: Any, grid: tuple) -> Callable[..., None]:
    """Replace ``kernel[grid]`` by a function that only counts the launch."""

    def launch(*args: Any, **kwargs: Any) -> None:
        tensors = [x for x in args if isinstance(x, Tensor)]
        on_device = all(isinstance(x, CudaTensor) for x in tensors)
        if not (on_device and _guards):
            _note('mixed', kernel.__name__)
        _note('launches', kernel.__name__)

    return launch


def _plain(value: Any) -> Any:
    return value.elem if isinstance(value, CudaTensor) else value


def _note(what: str, name: str) -> None:
    getattr(_counts, what)[f'{name} @ {_where()}'] += 1


def _where() -> str:
    """Return the innermost line of this package, else of mmseg or MMEngine."""
    found, frame = '?', sys._getframe(1)
    while frame is not None:
        path, _, inner = frame.f_code.co_filename.rpartition('/mmseg_wsss/')
        if path:
            return f'{inner}:{frame.f_lineno}'
        if found == '?' and any(f'/{k}/' in inner for k in ('mmseg', 'mmengine')):
            found = f'{inner.rpartition("site-packages/")[2]}:{frame.f_lineno}'
        frame = frame.f_back
    return found


def _run(func: Any, args: tuple, kwargs: dict) -> Any:
    """Run an operation on the CPU, count it, and wrap its results."""
    name = func._schema.name.rpartition('::')[2]
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    ours = [x for x in tensors if isinstance(x, CudaTensor)]
    host = [x for x in tensors if not isinstance(x, CudaTensor)]
    to = kwargs.get('device')
    on_device = bool(ours)
    if to is not None:
        on_device = torch.device(to).type == 'cuda'
        kwargs = {**kwargs, 'device': CPU}
        if kwargs.get('pin_memory'):
            kwargs['pin_memory'] = False
    if name == 'copy_' and ours and host:
        on_device = isinstance(args[0], CudaTensor)
    if name in ('_to_copy', 'copy_'):
        if host and on_device:
            _note('copies', name)
        elif ours and not on_device:
            _note('waits', name)
    elif ours and any(x.dim() > 0 for x in host):
        indexed = name in INDEXING and isinstance(args[0], CudaTensor)
        _note('copies' if indexed else 'mixed', name)
    if ours and name in INDEXING:
        index = [x for x in tree_leaves(args[1]) if isinstance(x, Tensor)]
        if any(x.dtype in (torch.bool, torch.uint8) for x in index):
            _note('waits', name)
    if ours and (WAITS(name) or (name == 'repeat_interleave' and len(args) == 1)):
        _note('waits', name)
    if (ours or on_device) and not FREE(name):
        _note('launches', name)
    out = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
    if not on_device or name == '_local_scalar_dense':
        return out
    # In-place operations return their argument.
    same = {id(x.elem): x for x in ours} if func._schema.is_mutable else {}

    def wrapped(x: Any) -> Any:
        if not isinstance(x, Tensor) or isinstance(x, CudaTensor):
            return x
        return same[id(x)] if id(x) in same else CudaTensor(x)

    return tree_map(wrapped, out)
