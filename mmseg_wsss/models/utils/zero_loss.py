from collections.abc import Iterable

import torch
from torch import Tensor

from .constants import made_once
from .precision import at_least_float32


def zero_loss(tensors: Iterable[Tensor]) -> Tensor:
    """Return a loss of 0 with a zero gradient for every tensor that requires one.

    Sums are computed in float32 or wider: in half precision they may overflow.

    Args:
        tensors: Finite tensors of any shape, at least one.

    Returns:
        Scalar tensor; without gradient if no tensor requires one.
    """
    tensors = list(tensors)
    found = [at_least_float32(t).sum() for t in tensors if t.requires_grad]
    if not found:
        return _zero(tensors[0].device)
    return sum(found[1:], found[0]) * 0.0


@made_once
def _zero(device: torch.device) -> Tensor:
    return torch.zeros((), device=device)
