"""Exact sums over all pairs of pixels, weighted by a Gaussian of their features."""

import math

import torch
from torch import Tensor

# A tile of the kernel fits in the second-level cache of a CPU core.
TILE_BYTES_CPU = 2**20
TILE_BYTES_GPU = 2**28


@torch.no_grad()
def gaussian_sum(feat: Tensor, values: Tensor, tile_bytes: int | None = None) -> Tensor:
    """Compute ``A_i = sum_j exp(-|f_i - f_j|^2 / 2) v_j``, ``j = i`` included.

    The kernel is symmetric: only the tiles on and above its diagonal are computed, and
    those above it are used twice. Only one tile is in memory at a time. The sums are
    exact up to rounding.

    Args:
        feat: Features f of shape (n, D), float32 or float64.
        values: Values v of shape (L, n), of the same type as ``feat``.
        tile_bytes: Largest size of a tile of the kernel; the default suits the device.

    Returns:
        Sums A of shape (L, n).

    Example:
        >>> feat = torch.zeros(3, 5)  # equal features: every weight is 1
        >>> gaussian_sum(feat, torch.tensor([[1.0, 2.0, 3.0]]))
        tensor([[6., 6., 6.]])
    """
    n = len(feat)
    if tile_bytes is None:
        tile_bytes = TILE_BYTES_GPU if feat.is_cuda else TILE_BYTES_CPU
    side = max(1, min(n, math.isqrt(tile_bytes // feat.element_size())))
    kernel = _PairKernel(feat, side, split=feat.is_cuda)
    sums = torch.zeros_like(values)
    with torch.autocast(feat.device.type, enabled=False):
        for i in range(0, n, side):
            rows = slice(i, i + side)
            for j in range(i, n, side):
                cols = slice(j, j + side)
                tile = kernel.tile(rows, cols)
                sums[:, rows].addmm_(values[:, cols], tile.t())
                if j > i:  # the mirrored tile below the diagonal
                    sums[:, cols].addmm_(values[:, rows], tile)
    return sums


class _PairKernel:
    """Tiles of ``exp(-|f_i - f_j|^2 / 2)``, written into one buffer.

    The exponent is one matrix product of the features with the columns ``-|f|^2 / 2``
    and 1.

    Args:
        feat: Features (n, D).
        side: Largest number of rows and of columns of a tile.
        split: Whether to split float32 features into two parts, so that matrix products
            that round to 11 bits (TF32, an option on GPUs) stay exact.
    """

    def __init__(self, feat: Tensor, side: int, split: bool = False) -> None:
        feat = feat - feat.mean(0)  # small numbers: less cancellation
        self.buffer = feat.new_empty(side * side)
        # Far below rounding: denormal numbers would slow a CPU down thirtyfold.
        self.lowest = 2.5 * math.log(torch.finfo(feat.dtype).eps)
        half = -0.5 * feat.square().sum(1, keepdim=True)
        one = torch.ones_like(half)
        self.left = torch.cat([feat, half, one], 1)
        self.right = torch.cat([feat, one, half], 1)
        if split and feat.dtype == torch.float32:
            (a, b), (c, d) = _two_parts(self.left), _two_parts(self.right)
            self.left = torch.cat([a, a, b, b], 1)
            self.right = torch.cat([c, d, c, d], 1)

    def tile(self, rows: slice, cols: slice) -> Tensor:
        """Return a tile of the kernel, valid until the next call."""
        left, right = self.left[rows], self.right[cols]
        shape = (len(left), len(right))
        tile = self.buffer[: shape[0] * shape[1]].view(shape)
        torch.mm(left, right.t(), out=tile)
        return tile.clamp_(min=self.lowest, max=0.0).exp_()


def _two_parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Split float32 numbers into their first 11 bits and the remainder."""
    first = (x.view(torch.int32) & ~0x1FFF).view(torch.float32)
    return first, x - first
