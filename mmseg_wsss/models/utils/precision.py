"""Precision of losses and statistics."""

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Return ``x`` in float32, or unchanged if its type is wider.

    Example:
        >>> at_least_float32(torch.ones(1, dtype=torch.float16)).dtype
        torch.float32
        >>> at_least_float32(torch.ones(1, dtype=torch.float64)).dtype
        torch.float64
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def log_probability(prob: Tensor) -> Tensor:
    """Return the logarithm of probabilities, finite at 0, in at least float32.

    Example:
        >>> log_probability(torch.tensor([1.0, 0.0]))
        tensor([  0.0000, -87.3365])
    """
    prob = at_least_float32(prob)
    return prob.clamp(min=torch.finfo(prob.dtype).tiny).log()
