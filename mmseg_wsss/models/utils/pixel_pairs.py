"""Pairs of near pixels: one map for each of the offsets of half a disk."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from .precision import at_least_float32


def half_disk(radius: int) -> list[tuple[int, int]]:
    """Offsets (rows, columns) closer than ``radius``, one of each two opposite ones.

    Raises:
        ValueError: If ``radius`` is below 2, which leaves no pair.
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
    """Cells (h, w) that have a partner at an offset, and these partners, as slices."""
    height, width = size
    row, col = offset
    if row >= height or abs(col) >= width:
        return (slice(0, 0), slice(0, 0)), (slice(0, 0), slice(0, 0))
    first = slice(0, height - row), slice(max(-col, 0), min(width - col, width))
    second = slice(row, height), slice(max(col, 0), min(width + col, width))
    return first, second


def partners(maps: Tensor, radius: int, fill: float) -> Tensor:
    """Values (N, P, h, w) at the P offsets of :func:`half_disk` from each cell.

    Args:
        maps: Values (N, h, w).
        radius: See :func:`half_disk`.
        fill: Value outside the map.
    """
    offsets = half_disk(radius)
    found = maps.new_full((len(maps), len(offsets), *maps.shape[1:]), fill)
    for index, offset in enumerate(offsets):
        first, second = windows(maps.shape[1:], offset)
        found[(slice(None), index, *first)] = maps[(slice(None), *second)]
    return found


def pair_affinity(feat: Tensor, radius: int) -> Tensor:
    """Affinity ``exp(-mean_d |f_d(i) - f_d(j)|)`` of near pixels.

    Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision", 2018, with the L1 distance taken a channel. Differences are computed
    one offset at a time, and again in the backward pass.

    Args:
        feat: Features (N, D, h, w); computed in float32.
        radius: See :func:`half_disk`.

    Returns:
        Affinities (N, P, h, w) in (0, 1], and 0 for partners outside the map.
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
    """Affinities (N, h, w) of one offset."""
    height, width = feat.shape[2:]
    (rows, cols), second = windows((height, width), offset)
    distance = (feat[..., rows, cols] - feat[(..., *second)]).abs().mean(1)
    room = (cols.start, width - cols.stop, rows.start, height - rows.stop)
    if distance.numel() == 0:
        return feat.sum(1) * 0.0
    return F.pad(torch.exp(-distance), room)


def boundary_affinity(boundary: Tensor, radius: int) -> Tensor:
    """Affinity of near pixels: 1 - the strongest boundary on the line between them.

    Source: Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance Segmentation with
    Inter-pixel Relations", 2019. Both ends are on the line.

    Args:
        boundary: Boundaries (N, h, w) in [0, 1]; computed in float32.
        radius: See :func:`half_disk`.

    Returns:
        Affinities (N, P, h, w) in [0, 1], and 0 for partners outside the map.
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
    """Cells (rows, columns) of the straight line from (0, 0) to ``offset``."""
    row, col = offset
    steps = max(abs(row), abs(col))

    def rounded(length: int, i: int) -> int:
        return (2 * length * i + steps) // (2 * steps)

    return [(rounded(row, i), rounded(col, i)) for i in range(steps + 1)]
