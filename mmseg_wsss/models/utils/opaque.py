"""Functions that ``torch.compile`` calls as they are, inside its graphs."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec('P')


def opaque(
    shape_of: Callable[..., Tensor], random: bool = False
) -> Callable[[Callable[P, Tensor]], Callable[P, Tensor]]:
    """Decorate a function of tensors and numbers as an operator without gradient.

    In a compiled step its Python code also runs unchanged, without the graph break that
    ``torch.compiler.disable`` would cause. Eager code calls the function itself.

    Args:
        shape_of: Function of the same arguments that returns an empty, contiguous
            tensor with the shape, type and device of the result.
        random: Whether two calls with equal arguments may differ.

    Returns:
        Decorator of a function with annotated arguments that returns a new tensor.

    Example:
        >>> @opaque(lambda img: img.new_empty(img.shape))
        ... def twice(img: Tensor) -> Tensor:
        ...     return torch.from_numpy(img.numpy() * 2)
        >>> torch.compile(twice, backend='eager', fullgraph=True)(torch.ones(2))
        tensor([2., 2.])
    """
    tags = (torch.Tag.nondeterministic_seeded,) if random else ()

    def decorate(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
        @wraps(function)
        def contiguous(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            return function(*args, **kwargs).contiguous()

        name = f'mmseg_wsss::{function.__name__}'
        operator = torch.library.custom_op(name, contiguous, mutates_args=(), tags=tags)
        operator.register_fake(shape_of)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            if torch.compiler.is_compiling():
                return operator(*args, **kwargs)
            return function(*args, **kwargs)

        return call

    return decorate
