from collections.abc import Sequence

import torch
from torch import Tensor


def near_pairs(
    size: Sequence[int], radius: int, device: torch.device | None = None
) -> Tensor:
    """Pairs (h * w, h * w) of cells at most ``radius`` apart in rows and in columns.

    Args:
        size: Height h and width w of the grid.
        radius: Largest Chebyshev distance in cells; a cell is near itself.
        device: Device of the result.

    Returns:
        Mask, bool and symmetric.
    """
    height, width = size
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    near_rows = (rows[:, None] - rows).abs() <= radius
    near_columns = (columns[:, None] - columns).abs() <= radius
    near = near_rows[:, None, :, None] & near_columns[:, None]
    return near.reshape(height * width, height * width)
