"""Weights and propagation of the local refiners PAR and VARM, in plain torch.

The functions never hold a copy of the masks for each neighbor, and ``torch.compile``
fuses each of them into a few loops.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Offset = tuple[int, int]
DIRECTIONS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))


def neighbor_offsets(dilations: Sequence[int]) -> tuple[Offset, ...]:
    """Return the (row, column) offsets of 8 neighbors for every dilation."""
    return tuple((y * d, x * d) for d in dilations for y, x in DIRECTIONS)


def position_weights(offsets: Sequence[Offset], bandwidth: float = 0.3) -> Tensor:
    """Compute the softmax over neighbors of minus their squared standardized distance.

    Returns:
        Tensor of shape (number of offsets,), float64, sum 1.
    """
    radius = torch.tensor(offsets, dtype=torch.float64).square().sum(1).sqrt()
    return (-((radius / (radius.std() + 1e-8) / bandwidth) ** 2)).softmax(0)


def pad_replicate(maps: Tensor, reach: int) -> Tensor:
    """Repeat the border of (N, C, H, W) maps ``reach`` times on each side."""
    return F.pad(maps, (reach,) * 4, mode='replicate')


def variation_terms(padded: Tensor) -> Tensor:
    """Compute exp(v) - 1 with v the channel mean of squared forward differences.

    ``v`` of a neighbor is a sum of two terms, so its exponential in the softmax is a
    product of two factors, which are computed here once for all neighbors. The 1 is
    left out because a term that is masked out must become a factor of 1.

    Args:
        padded: Images (N, 3, H, W) after :func:`pad_replicate`.

    Returns:
        Differences down and right, stacked, of shape (2, N, H, W).
    """
    down = (padded[..., :-1, :] - padded[..., 1:, :]).square().mean(1)
    right = (padded[..., :-1] - padded[..., 1:]).square().mean(1)
    return torch.stack([F.pad(down, (0, 0, 0, 1)), F.pad(right, (0, 1))]).expm1_()


def affinity_weights_(
    weights: Tensor,
    padded: Tensor,
    img: Tensor,
    offsets: Sequence[Offset],
    bandwidth: Tensor,
    position: Tensor | None,
    variation: tuple[Tensor, Tensor, Tensor] | None,
) -> None:
    """Compute the weight of every neighbor of every pixel, in place.

    Args:
        weights: Result of shape (N, len(offsets), H, W).
        padded: ``img`` after :func:`pad_replicate`.
        img: Images of shape (N, 3, H, W) in [0, 1], or some of their rows.
        offsets: Neighbors, see :func:`neighbor_offsets`.
        bandwidth: Width of the color term in standard deviations, a scalar (a tensor,
            so that compiled code serves every value).
        position: Weighted position term of shape (len(offsets), 1, 1), or None.
        variation: Weight of the variation term, a scalar; :func:`variation_terms` of
            ``padded``; and a mask (H, 1) in {0, 1} that is 0 on the last row of the
            image; or None.
    """
    views = _neighbors(padded, offsets, img.shape[-2:])
    logits = torch.stack(list(_color_logits(views, img, bandwidth)), 1)
    logits -= logits.amax(1, keepdim=True)
    result = logits.exp_()
    result /= result.sum(1, keepdim=True)
    if position is not None:
        result += position
    if variation is not None:
        weight, terms, inner_rows = variation
        factors = _variations(terms, offsets, img.shape[-2:], inner_rows)
        softmax = torch.stack(list(factors), 1)
        result -= softmax.mul_(weight / softmax.sum(1, keepdim=True))
    weights.copy_(result)


def frame(maps: Tensor, reach: int) -> Tensor:
    """Repeat the border of maps (N, C, H, W), as (N, H + 2r, C, W + 2r).

    In this order all maps of a row are adjacent in memory, so that the weights of the
    row are read once for all of them.
    """
    num, channels, height, width = maps.shape
    state = maps.new_empty(num, height + 2 * reach, channels, width + 2 * reach)
    unframed(state, reach).copy_(maps)
    repeat_border_(state, reach)
    return state


def unframed(state: Tensor, reach: int) -> Tensor:
    """Return a view (N, C, H, W) of the inner part of a framed state."""
    inner = slice(reach, -reach)
    return state[:, inner, :, inner].transpose(1, 2)


def repeat_border_(state: Tensor, reach: int) -> None:
    """Fill the border of a framed state from its inner part, in place."""
    state[..., :reach] = state[..., reach : reach + 1]
    state[..., -reach:] = state[..., -reach - 1 : -reach]
    state[:, :reach] = state[:, reach : reach + 1]
    state[:, -reach:] = state[:, -reach - 1 : -reach]


def neighbor_sum(state: Tensor, weights: Tensor, offsets: Sequence[Offset]) -> Tensor:
    """Compute one step of propagation, the weighted sum over the neighbors.

    Args:
        state: Maps of shape (N, H + 2 * reach, C, W + 2 * reach), see :func:`frame`.
        weights: Weights of shape (N, len(offsets), H, W), shared by all C maps.
        offsets: Neighbors in the order of ``weights``.

    Returns:
        Maps of shape (N, C, H, W), a view of (N, H, C, W).
    """
    maps = state.transpose(1, 2)
    views = _neighbors(maps, offsets, weights.shape[-2:])
    by_row = weights.unsqueeze(3)
    total = views[0].transpose(1, 2) * by_row[:, 0]
    for k in range(1, len(offsets)):
        total.addcmul_(views[k].transpose(1, 2), by_row[:, k])
    return total.transpose(1, 2)


def _neighbors(
    padded: Tensor, offsets: Sequence[Offset], size: Sequence[int]
) -> list[Tensor]:
    """Return the shifted views (..., H, W) of padded maps, one per neighbor."""
    height, width = size
    top = (padded.shape[-2] - height) // 2
    left = (padded.shape[-1] - width) // 2
    return [
        padded[..., top + y : top + y + height, left + x : left + x + width]
        for y, x in offsets
    ]


def _color_logits(
    views: Sequence[Tensor], img: Tensor, bandwidth: Tensor
) -> Iterator[Tensor]:
    """Yield -mean_c ``(|I(p+k) - I(p)| / std(p) / bandwidth) ** 2`` of each neighbor.

    Each channel is taken relative to its value at the neighbor that is nearest in
    color (at the value of the center if it lies within their range). The softmax is
    the same, and single precision stays exact for a pixel that differs from a flat
    neighborhood: its plain squares are so large (up to 1e17) that the other channels
    would be lost in rounding.
    """
    nearest, std = _color_statistics(views, img)
    twice_gap = 2 * (nearest - img)
    scale = ((std + 1e-8) * bandwidth).square().reciprocal() / -img.shape[1]
    for view in views:
        step = view - nearest
        yield ((step + twice_gap) * step * scale).sum(1)


def _color_statistics(views: Sequence[Tensor], img: Tensor) -> tuple[Tensor, Tensor]:
    """Return the value in the neighbors' range nearest to the center, and their std.

    Differences from one of the neighbors are summed: they are exact if all are close
    together, as in flat regions that differ by a rounding error, for which a sum of the
    values is too coarse.
    """
    first = low = high = views[0]
    total = torch.zeros_like(img)
    for view in views[1:]:
        low = torch.minimum(low, view)
        high = torch.maximum(high, view)
        total = total + (view - first)
    mean = total / len(views)
    squares = torch.zeros_like(img)
    for view in views:
        squares = squares + (view - first - mean).square()
    nearest = torch.minimum(torch.maximum(img, low), high)
    return nearest, (squares / (len(views) - 1)).sqrt()


def _variations(
    terms: Tensor, offsets: Sequence[Offset], size: Sequence[int], inner_rows: Tensor
) -> Iterator[Tensor]:
    """Yield exp(v), with v the variation at each neighbor, of shape (N, H, W).

    For pixels of the last row (column) of the image, the row (column) difference counts
    as 0 for every neighbor, as in the released code of TSCD.
    """
    inner_columns = terms.new_ones(size[1])
    inner_columns[-1] = 0
    rows, columns = (_neighbors(term, offsets, size) for term in terms)
    for row, column in zip(rows, columns):
        yield (row * inner_rows + 1) * (column * inner_columns + 1)
