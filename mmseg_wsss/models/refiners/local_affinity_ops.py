"""Weights and propagation of the local refiners PAR and VARM, in plain torch.

The functions hold one picture-sized map at a time, never a copy of the masks for each
neighbour, and ``torch.compile`` fuses each of them into a few loops.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Offset = tuple[int, int]
DIRECTIONS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


def neighbour_offsets(dilations: Sequence[int]) -> tuple[Offset, ...]:
    """The (row, column) offsets of 8 neighbours for every dilation."""
    return tuple((y * d, x * d) for d in dilations for y, x in DIRECTIONS)


def position_weights(offsets: Sequence[Offset], bandwidth: float = 0.3) -> Tensor:
    """Softmax over the neighbours of minus their squared standardised distance.

    Returns:
        Tensor of shape (number of offsets,), float64, sum 1.
    """
    radius = torch.tensor(offsets, dtype=torch.float64).square().sum(1).sqrt()
    return (-((radius / (radius.std() + 1e-8) / bandwidth) ** 2)).softmax(0)


def pad_replicate(maps: Tensor, reach: int) -> Tensor:
    """Repeat the border of (N, C, H, W) maps ``reach`` times on each side."""
    return F.pad(maps, (reach,) * 4, mode='replicate')


def affinity_weights(
    padded: Tensor,
    img: Tensor,
    offsets: Sequence[Offset],
    bandwidth: Tensor,
    position: Tensor | None,
    var_weight: Tensor | None,
    lean: bool = True,
) -> Tensor:
    """Weight of every neighbour of every pixel.

    Args:
        padded: ``img`` after :func:`pad_replicate`.
        img: Pictures of shape (N, 3, H, W) in [0, 1].
        offsets: Neighbours, see :func:`neighbour_offsets`.
        bandwidth: Width of the colour term in standard deviations, a scalar (a tensor,
            so that compiled code serves every value).
        position: Weighted position term of shape (len(offsets), 1, 1), or None.
        var_weight: Weight of the variation term, a scalar, or None.
        lean: Write the neighbours' maps one by one into the result. False collects them
            first, which only a compiler fuses away.

    Returns:
        Weights of shape (N, len(offsets), H, W).
    """
    collect = _collect if lean else _stack
    size = img.shape[-2:]
    views = _neighbours(padded, offsets, size)
    weights = _softmax_(collect(_colour_logits(views, img, bandwidth), len(offsets)))
    if position is not None:
        weights += position
    if var_weight is not None:
        variation = collect(_variations(padded, offsets, size), len(offsets))
        weights -= _softmax_(variation).mul_(var_weight)
    return weights


def neighbour_sum(padded: Tensor, weights: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """One step of propagation: the weighted sum over the neighbours.

    Args:
        padded: Maps of shape (N, C, H + 2 * reach, W + 2 * reach).
        weights: Weights of shape (N, len(offsets), H, W), shared by all C maps.
        offsets: Neighbours in the order of ``weights``.

    Returns:
        Maps of shape (N, C, H, W).
    """
    views = _neighbours(padded, offsets, weights.shape[-2:])
    total = views[0] * weights[:, :1]
    for k in range(1, len(offsets)):
        total.addcmul_(views[k], weights[:, k : k + 1])
    return total


def _neighbours(
    padded: Tensor, offsets: Sequence[Offset], size: Sequence[int]
) -> list[Tensor]:
    height, width = size
    top = (padded.shape[-2] - height) // 2
    left = (padded.shape[-1] - width) // 2
    return [
        padded[..., top + y : top + y + height, left + x : left + x + width]
        for y, x in offsets
    ]


def _colour_logits(
    views: Sequence[Tensor], img: Tensor, bandwidth: Tensor
) -> Iterator[Tensor]:
    """Minus the mean over channels of ``(|I(p+k) - I(p)| / std(p) / bandwidth) ** 2``.

    Each channel is taken relative to its value at the neighbour that is nearest in
    colour (at the centre's own value where that lies among the neighbours). This
    changes nothing after the softmax, and keeps single precision exact where a pixel
    stands out from a flat surrounding: the plain squares are then so large (up to
    1e17) that they swallow the other channels.
    """
    nearest, std = _colour_statistics(views, img)
    twice_gap = 2 * (nearest - img)
    scale = ((std + 1e-8) * bandwidth).square().reciprocal() / -img.shape[1]
    for view in views:
        step = view - nearest
        yield ((step + twice_gap) * step * scale).sum(1)


def _colour_statistics(views: Sequence[Tensor], img: Tensor) -> tuple[Tensor, Tensor]:
    """Neighbours' value nearest to the centre's, and their unbiased deviation."""
    low = high = total = views[0]
    for view in views[1:]:
        low = torch.minimum(low, view)
        high = torch.maximum(high, view)
        total = total + view
    mean = total / len(views)
    squares = torch.zeros_like(img)
    for view in views:
        squares = squares + (view - mean).square()
    nearest = torch.minimum(torch.maximum(img, low), high)
    return nearest, (squares / (len(views) - 1)).sqrt()


def _variations(
    padded: Tensor, offsets: Sequence[Offset], size: Sequence[int]
) -> Iterator[Tensor]:
    """Mean over channels of the squared forward differences at every neighbour.

    The difference across the last row (column) of the output counts as 0, whatever
    the neighbour, as in the released code.
    """
    down = (padded[..., :-1, :] - padded[..., 1:, :]).square().mean(1)
    right = (padded[..., :-1] - padded[..., 1:]).square().mean(1)
    down = F.pad(down, (0, 0, 0, 1))
    right = F.pad(right, (0, 1))
    inner_rows = padded.new_ones(size[0], 1)
    inner_rows[-1] = 0
    inner_columns = padded.new_ones(size[1])
    inner_columns[-1] = 0
    rows = _neighbours(down, offsets, size)
    columns = _neighbours(right, offsets, size)
    for row, column in zip(rows, columns):
        yield row * inner_rows + column * inner_columns


def _collect(maps: Iterable[Tensor], count: int) -> Tensor:
    """Stack ``count`` maps (N, H, W) to (N, count, H, W), one alive at a time."""
    iterator = iter(maps)
    first = next(iterator)
    stacked = first.new_empty(first.shape[0], count, *first.shape[1:])
    stacked[:, 0] = first
    for k, item in enumerate(iterator, start=1):
        stacked[:, k] = item
    return stacked


def _stack(maps: Iterable[Tensor], count: int) -> Tensor:
    return torch.stack(list(maps), dim=1)


def _softmax_(logits: Tensor) -> Tensor:
    """Softmax over dimension 1 in place."""
    logits -= logits.amax(1, keepdim=True)
    logits.exp_()
    logits /= logits.sum(1, keepdim=True)
    return logits
