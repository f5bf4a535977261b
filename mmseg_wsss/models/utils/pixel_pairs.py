"""Pairs of nearby pixels: one map for each offset of half a disk.

A dense matrix of all pairs would be mostly empty; P maps for the P offsets within a
radius hold every unordered pair once. Sources: AffinityNet (PSA),
https://arxiv.org/abs/1803.10464, and IRN, https://arxiv.org/abs/1904.05044.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .precision import at_least_float32


def half_disk(radius: int) -> list[tuple[int, int]]:
    """Return the offsets shorter than ``radius``, one of each opposite pair.

    Args:
        radius: Radius in cells, excluded.

    Returns:
        Offsets as (rows, columns).

    Raises:
        ValueError: If ``radius`` is below 2, which leaves no pair.

    Example:
        >>> half_disk(2)
        [(0, 1), (1, -1), (1, 0), (1, 1)]
    """
    if radius < 2:
        raise ValueError(f'radius must be at least 2, got {radius}')
    return [
        (row, col)
        for row in range(radius)
        for col in range(1 - radius, radius)
        if (row > 0 or col > 0) and row**2 + col**2 < radius**2
    ]


def windows(
    size: Sequence[int], offset: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return slices of the cells with a partner at an offset, and of the partners.

    Args:
        size: Height and width of a map.
        offset: Offset (rows, columns), rows at least 0.

    Returns:
        Row and column slices of the cells, and of their partners; empty if no cell has
        a partner.
    """
    height, width = size
    row, col = offset
    if row >= height or abs(col) >= width:
        return (slice(0, 0), slice(0, 0)), (slice(0, 0), slice(0, 0))
    first = slice(0, height - row), slice(max(-col, 0), min(width - col, width))
    second = slice(row, height), slice(max(col, 0), min(width + col, width))
    return first, second


def partners(maps: Tensor, radius: int, fill: float) -> Tensor:
    """Gather the values at the offsets of :func:`half_disk` from each cell.

    Args:
        maps: Values (N, h, w).
        radius: See :func:`half_disk`.
        fill: Value outside the map.

    Returns:
        Values (N, P, h, w) at the P offsets.

    Example:
        >>> partners(torch.tensor([[[1, 2, 3]]]), radius=2, fill=0)[0, 0]  # right
        tensor([[2, 3, 0]])
    """
    offsets = half_disk(radius)
    found = maps.new_full((len(maps), len(offsets), *maps.shape[1:]), fill)
    for index, offset in enumerate(offsets):
        first, second = windows(maps.shape[1:], offset)
        found[(slice(None), index, *first)] = maps[(slice(None), *second)]
    return found


def pair_affinity(feat: Tensor, radius: int) -> Tensor:
    """Compute the affinity ``exp(-mean_d |f_d(i) - f_d(j)|)`` of nearby pixels.

    Source: Ahn and Kwak (PSA), https://arxiv.org/abs/1803.10464, with the L1 distance
    divided by the number of channels. Differences are computed one offset at a time and
    recomputed in the backward pass, so that P copies of the features are never stored.

    Args:
        feat: Features (N, D, h, w); computed in float32.
        radius: See :func:`half_disk`.

    Returns:
        Affinities (N, P, h, w) in (0, 1], and 0 for partners outside the map.

    Example:
        >>> pair_affinity(torch.zeros(1, 8, 1, 2), radius=2)[0, 0]
        tensor([[1., 0.]])
    """
    feat = at_least_float32(feat)
    rows = []
    for offset in half_disk(radius):
        rows.append(
            checkpoint(_affinity, feat, offset, use_reentrant=False)
            if feat.requires_grad
            else _affinity(feat, offset)
        )
    return torch.stack(rows, 1)


def _affinity(feat: Tensor, offset: tuple[int, int]) -> Tensor:
    """Return the affinities (N, h, w) of one offset."""
    height, width = feat.shape[2:]
    (rows, cols), second = windows((height, width), offset)
    distance = (feat[..., rows, cols] - feat[(..., *second)]).abs().mean(1)
    room = (cols.start, width - cols.stop, rows.start, height - rows.stop)
    if distance.numel() == 0:
        return feat.sum(1) * 0.0
    return F.pad(torch.exp(-distance), room)


def boundary_affinity(boundary: Tensor, radius: int) -> Tensor:
    """Compute the affinity of nearby pixels, 1 - the strongest boundary between them.

    The strongest boundary is the maximum on the straight line between the pixels, both
    ends included. Source: Ahn, Cho and Kwak (IRN), https://arxiv.org/abs/1904.05044.

    Args:
        boundary: Boundaries (N, h, w) in [0, 1]; computed in float32.
        radius: See :func:`half_disk`.

    Returns:
        Affinities (N, P, h, w) in [0, 1], and 0 for partners outside the map.

    Example:
        >>> boundary_affinity(torch.tensor([[[0.0, 0.25, 0.0]]]), radius=3)[0, 1]
        tensor([[0.7500, 0.0000, 0.0000]])
    """
    boundary = at_least_float32(boundary)
    height, width = boundary.shape[1:]
    rows = []
    for offset in half_disk(radius):
        (first_rows, first_cols), _ = windows((height, width), offset)
        size = first_rows.stop - first_rows.start, first_cols.stop - first_cols.start
        if 0 in size:
            rows.append(boundary * 0.0)
            continue
        top, left = first_rows.start, first_cols.start
        cells = [
            boundary[:, top + row :, left + col :][:, : size[0], : size[1]]
            for row, col in line(offset)
        ]
        strongest = torch.stack(cells).amax(0)
        room = (left, width - first_cols.stop, top, height - first_rows.stop)
        rows.append(F.pad(1 - strongest, room))
    return torch.stack(rows, 1)


def line(offset: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the cells (rows, columns) of the line from (0, 0) to ``offset``."""
    row, col = offset
    steps = max(abs(row), abs(col))

    def rounded(length: int, i: int) -> int:
        return (2 * length * i + steps) // (2 * steps)

    return [(rounded(row, i), rounded(col, i)) for i in range(steps + 1)]
