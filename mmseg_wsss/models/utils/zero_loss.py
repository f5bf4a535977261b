from collections.abc import Iterable

from torch import Tensor

from .precision import at_least_float32


def zero_loss(tensors: Iterable[Tensor]) -> Tensor:
    """Return a loss of 0 with a zero gradient for every tensor that requires one.

    Sums are computed in float32 or wider: in half precision they may overflow.

    Args:
        tensors: Finite tensors of any shape.

    Returns:
        Scalar; the number 0.0 if no tensor requires a gradient.
    """
    found = [at_least_float32(t).sum() for t in tensors if t.requires_grad]
    return sum(found) * 0.0  # type: ignore[return-value]
