"""Pairs of grid cells within a radius, as a matrix."""

from collections.abc import Sequence

import torch
from torch import Tensor


def near_pairs(
    size: Sequence[int], radius: int, device: torch.device | None = None
) -> Tensor:
    """Mark the pairs of cells at most ``radius`` apart in rows and in columns.

    Args:
        size: Height h and width w of the grid.
        radius: Largest Chebyshev distance in cells; a cell is near itself.
        device: Device of the result.

    Returns:
        Mask (h * w, h * w), bool and symmetric.

    Example:
        >>> near_pairs((1, 3), radius=1).int()
        tensor([[1, 1, 0],
                [1, 1, 1],
                [0, 1, 1]], dtype=torch.int32)
    """
    height, width = size
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    near_rows = (rows[:, None] - rows).abs() <= radius
    near_columns = (columns[:, None] - columns).abs() <= radius
    near = near_rows[:, None, :, None] & near_columns[:, None]
    return near.reshape(height * width, height * width)
