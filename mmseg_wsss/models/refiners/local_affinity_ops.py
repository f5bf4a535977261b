"""Weights and propagation of the local refiners PAR and VARM, in plain torch.

The functions never hold a copy of the masks for each neighbor, and ``torch.compile``
fuses each of them into a few loops.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

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


@lru_cache(maxsize=64)
def position_terms(
    offsets: tuple[Offset, ...], weight: float, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return ``weight`` times :func:`position_weights`; copied to a device once."""
    return (weight * position_weights(offsets)).to(device, dtype)


def clamped_index(sizes: Tensor, size: Sequence[int], reach: int) -> Tensor:
    """Compute the pixel index of each position of padded maps, clamped to the image.

    Args:
        sizes: Height and width (N, 2) of the images, from the upper left corner.
        size: Height H and width W of the maps.
        reach: Width of the padding.

    Returns:
        Index ``row * W + column`` (N, H + 2 * reach, W + 2 * reach) int64.

    Example:
        >>> clamped_index(torch.tensor([[1, 2]]), (1, 3), 1)[0, 0]
        tensor([0, 0, 1, 1, 1])
    """
    last = sizes.long() - 1
    rows, columns = (
        torch.arange(-reach, size[i] + reach, device=sizes.device)
        .clamp(min=0)
        .minimum(last[:, i, None])
        for i in (0, 1)
    )
    return rows[:, :, None] * size[1] + columns[:, None]


def pad_replicate(maps: Tensor, reach: int, index: Tensor | None = None) -> Tensor:
    """Repeat the border of (N, C, H, W) maps ``reach`` times on each side.

    With an ``index`` from :func:`clamped_index`, the borders of the images are repeated
    instead.
    """
    if index is None:
        return F.pad(maps, (reach,) * 4, mode='replicate')
    flat = index.flatten(1)[:, None].expand(-1, maps.shape[1], -1)
    return maps.flatten(2).gather(2, flat).unflatten(2, index.shape[1:])


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
    variation: tuple[Tensor, Tensor, Tensor, Tensor] | None,
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
            ``padded``; and masks (H, 1) or (N, H, 1) and (W,) or (N, 1, W) in {0, 1}
            that are 0 on the last row and column of an image; or None.
    """
    views = _neighbors(padded, offsets, img.shape[-2:])
    logits = torch.stack(list(_color_logits(views, img, bandwidth)), 1)
    logits -= logits.amax(1, keepdim=True)
    result = logits.exp_()
    result /= result.sum(1, keepdim=True)
    if position is not None:
        result += position
    if variation is not None:
        weight, terms, *inner = variation
        factors = _variations(terms, offsets, img.shape[-2:], *inner)
        softmax = torch.stack(list(factors), 1)
        result -= softmax.mul_(weight / softmax.sum(1, keepdim=True))
    weights.copy_(result)


def frame(maps: Tensor, reach: int, index: Tensor | None = None) -> Tensor:
    """Repeat the border of maps (N, C, H, W), as (N, H + 2r, C, W + 2r).

    In this order all maps of a row are adjacent in memory, so that the weights of the
    row are read once for all of them. For ``index`` see :func:`pad_replicate`.
    """
    num, channels, height, width = maps.shape
    state = maps.new_empty(num, height + 2 * reach, channels, width + 2 * reach)
    reframe_(state, maps, reach, index)
    return state


def reframe_(
    state: Tensor, maps: Tensor, reach: int, index: Tensor | None = None
) -> None:
    """Fill a framed state with maps (N, C, H, W) and their border, in place."""
    if index is not None:
        state.transpose(1, 2).copy_(pad_replicate(maps, reach, index))
        return
    unframed(state, reach).copy_(maps)
    state[..., :reach] = state[..., reach : reach + 1]
    state[..., -reach:] = state[..., -reach - 1 : -reach]
    state[:, :reach] = state[:, reach : reach + 1]
    state[:, -reach:] = state[:, -reach - 1 : -reach]


def unframed(state: Tensor, reach: int) -> Tensor:
    """Return a view (N, C, H, W) of the inner part of a framed state."""
    inner = slice(reach, -reach)
    return state[:, inner, :, inner].transpose(1, 2)


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

    Each channel is taken relative to the value of the neighbors that is nearest to the
    center (to the center itself if it lies within their range). The softmax is the
    same, and single precision stays exact for a pixel that differs from a flat
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


def last_row_masks(img: Tensor, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return masks of all rows and columns but the last one, of the type of ``img``.

    Args:
        img: Images (N, 3, H, W).
        sizes: Height and width (N, 2) of the images; H and W if None.

    Returns:
        Masks (H, 1) and (W,), or (N, H, 1) and (N, 1, W) with ``sizes``.
    """
    height, width = img.shape[2:]
    rows = torch.arange(height, device=img.device)[:, None]
    columns = torch.arange(width, device=img.device)
    if sizes is None:
        return (rows != height - 1).to(img), (columns != width - 1).to(img)
    last = (sizes - 1)[:, :, None, None]
    return (rows != last[:, 0]).to(img), (columns != last[:, 1]).to(img)


def _variations(
    terms: Tensor,
    offsets: Sequence[Offset],
    size: Sequence[int],
    inner_rows: Tensor,
    inner_columns: Tensor,
) -> Iterator[Tensor]:
    """Yield exp(v), with v the variation at each neighbor, of shape (N, H, W).

    For pixels of the last row (column) of the image, the row (column) difference counts
    as 0 for every neighbor, as in the released code of TSCD.
    """
    rows, columns = (_neighbors(term, offsets, size) for term in terms)
    for row, column in zip(rows, columns):
        yield (row * inner_rows + 1) * (column * inner_columns + 1)
