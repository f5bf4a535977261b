"""Means over the valid pixels of all ranks, in one collective per step."""

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor

# Below any nonzero mean count, for up to 65536 ranks.
MIN_COUNT = 2.0**-16
_collecting: ContextVar[bool] = ContextVar('collecting', default=False)


@torch.no_grad()
def mean_over_ranks(count: Tensor) -> Tensor:
    """Average a count over the ranks.

    DDP averages gradients over the ranks. With ``local_sum / mean_over_ranks(count)``
    as the loss of each rank, this average is the mean over the items of all ranks,
    however unevenly they are distributed; a mean per rank would give more weight to the
    items of a rank with few labeled pixels.

    Args:
        count: Count of this rank, of any shape; the same shape on every rank.

    Returns:
        Average of the shape of ``count``, floating point; with a single rank, ``count``
        itself.

    Example:
        >>> mean_over_ranks(torch.tensor(3))
        tensor(3.)
    """
    mean = count if count.is_floating_point() else count.float()
    if _several_ranks():
        mean = mean.clone()
        dist.all_reduce(mean)
        mean = mean / dist.get_world_size()
    return mean


def ratio_over_ranks(total: Tensor, count: Tensor) -> Tensor:
    """Divide totals of this rank by the average of their counts over the ranks.

    Args:
        total: Totals of any shape.
        count: Counts of the same shape, floating point.

    Returns:
        Ratios of the same shape; with several ranks inside :func:`one_collective`, a
        :class:`PendingMean`.

    Example:
        >>> ratio_over_ranks(torch.tensor(3.0), torch.tensor(2.0))
        tensor(1.5000)
    """
    if _several_ranks() and _collecting.get():
        return cast(Tensor, PendingMean([(total, count.detach(), 1.0)]))
    return total / mean_over_ranks(count).clamp(min=MIN_COUNT)


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Average values over the valid items of all ranks.

    Args:
        values: Values of any shape.
        valid: Mask of the shape of ``values``, bool; or (G, ...) for the means of G
            groups.

    Returns:
        Scalar, or shape (G,), see :func:`ratio_over_ranks`. The average of this value
        over the ranks is the mean; exactly 0, with zero gradient, if no rank has a
        valid item.

    Example:
        >>> values = torch.tensor([1.0, 2.0, torch.nan])
        >>> mean_of_valid(values, torch.tensor([True, True, False]))
        tensor(1.5000)
        >>> mean_of_valid(values, torch.zeros(3, dtype=torch.bool))
        tensor(0.)
    """
    groups = valid.flatten(valid.dim() - values.dim())
    # `where`, not a product: 0 * nan would be nan in value and gradient.
    total = torch.where(groups, values.flatten(), 0.0).sum(-1)
    return ratio_over_ranks(total, groups.sum(-1).to(total.dtype))


class PendingMean:
    """Weighted sum of totals, each to be divided by its count over all ranks.

    It replaces a tensor until :func:`one_collective` has summed the counts, and can be
    multiplied, divided, added, averaged and unpacked like that tensor.

    Args:
        terms: Total, count of this rank and weight of each term; a count of None means
            that the total is not divided.
    """

    def __init__(self, terms: Sequence[tuple[Tensor, Tensor | None, Any]]) -> None:
        self.terms = list(terms)

    def __add__(self, other: Any) -> 'PendingMean':
        own = isinstance(other, PendingMean)
        return PendingMean(self.terms + (other.terms if own else [(other, None, 1.0)]))

    __radd__ = __add__

    def __mul__(self, factor: Any) -> 'PendingMean':
        return PendingMean([(t, count, w * factor) for t, count, w in self.terms])

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> 'PendingMean':
        return self * (1 / divisor)

    def __iter__(self) -> Iterator['PendingMean']:
        for parts in zip(*(zip(total, cast(Tensor, c)) for total, c, _ in self.terms)):
            weights = (weight for _, _, weight in self.terms)
            yield PendingMean([(*part, w) for part, w in zip(parts, weights)])

    def mean(self) -> 'PendingMean':
        parts = list(self)
        return sum(parts[1:], parts[0]) / len(parts)


def one_collective(loss: Callable[..., dict]) -> Callable[..., dict]:
    """Decorate ``loss()`` of a segmentor to sum all of its counts in one collective.

    Otherwise each :func:`mean_of_valid` and :func:`ratio_over_ranks` inside it runs a
    collective of its own. Inside the decorated method they return a
    :class:`PendingMean`, which may only be scaled, added and returned. With a single
    rank nothing changes.

    Args:
        loss: Method that returns a dict of losses.

    Returns:
        The decorated method.
    """

    @wraps(loss)
    def together(*args: Any, **kwargs: Any) -> dict:
        if not _several_ranks():
            return loss(*args, **kwargs)
        token = _collecting.set(True)
        try:
            losses = loss(*args, **kwargs)
        finally:
            _collecting.reset(token)
        return _divided(losses)

    return together


def _divided(losses: dict) -> dict:
    """Replace each pending mean by its value."""
    pending = [v for v in losses.values() if isinstance(v, PendingMean)]
    counts = [c for part in pending for _, c, _ in part.terms if c is not None]
    if not counts:
        return losses
    # The sum of counts is exact in float64.
    means = mean_over_ranks(torch.stack([count.double() for count in counts]))
    remaining = iter(means.clamp(min=MIN_COUNT).unbind())

    def value(part: PendingMean) -> Tensor:
        values = [
            w * (total if count is None else total / next(remaining).to(count.dtype))
            for total, count, w in part.terms
        ]
        return cast(Tensor, sum(values[1:], values[0]))

    return {
        key: value(entry) if isinstance(entry, PendingMean) else entry
        for key, entry in losses.items()
    }


def _several_ranks() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
