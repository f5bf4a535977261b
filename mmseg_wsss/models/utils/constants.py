"""Constant tensors that are made once per device, not copied to a GPU in every step."""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Maker = TypeVar('Maker', bound=Callable[..., Tensor])


def made_once(function: Maker) -> Maker:
    """Decorate a function to cache the constant tensors that it returns.

    The tensors of the last 32 calls with different arguments are cached, and must not
    be modified. Inside ``torch.compile`` they become part of the graph.

    Args:
        function: Function of hashable arguments, among them the device of the result.

    Example:
        >>> zeros = made_once(torch.zeros)
        >>> zeros(3) is zeros(3)
        True
    """

    @lru_cache(maxsize=32)
    def kept(*args: Any, **kwargs: Any) -> Tensor:
        with torch.inference_mode(False):  # an inference tensor could not be trained on
            return function(*args, **kwargs)

    @wraps(function)
    def constant(*args: Any, **kwargs: Any) -> Tensor:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        return kept(*args, **kwargs)

    return cast(Maker, constant)


def constant(values: Sequence, like: Tensor) -> Tensor:
    """Return numbers as a cached tensor, which must not be modified.

    Args:
        values: Numbers, or sequences of numbers of one length.
        like: Tensor with the type and device of the result.

    Example:
        >>> constant([1, 2], torch.zeros(1))
        tensor([1., 2.])
    """
    rows = tuple(tuple(v) if isinstance(v, Sequence) else v for v in values)
    return _tensor(rows, like.dtype, like.device)


@made_once
def _tensor(values: tuple, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=dtype, device=device)
