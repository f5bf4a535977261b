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

    The kernel is symmetric, so only the tiles on and above its diagonal are computed,
    and used twice; no more than one of them is in memory. Exact up to rounding.

    Args:
        feat: Features f of shape (n, D), float32 or float64.
        values: Values v of shape (L, n), of the type of ``feat``.
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
    kernel = _PairKernel(feat, side)
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

    On a CPU the exponent is one matrix product of the features with the columns
    ``-|f|^2 / 2`` and 1. Elsewhere it is summed feature by feature, since matrix
    products there may be rounded to 11 bits (TF32).

    Args:
        feat: Features (n, D).
        side: Largest number of rows and of columns of a tile.
    """

    def __init__(self, feat: Tensor, side: int) -> None:
        self.feat = feat - feat.mean(0)  # small numbers: less cancellation
        self.buffer = feat.new_empty(side * side)
        # Denormal numbers would slow a CPU down thirtyfold; far below rounding.
        self.lowest = 2.5 * math.log(torch.finfo(feat.dtype).eps)
        self.by_product = feat.device.type == 'cpu'
        if self.by_product:
            half = -0.5 * self.feat.square().sum(1, keepdim=True)
            one = torch.ones_like(half)
            self.left = torch.cat([self.feat, half, one], 1)
            self.right = torch.cat([self.feat, one, half], 1)
        else:
            self.scratch = torch.empty_like(self.buffer)

    def tile(self, rows: slice, cols: slice) -> Tensor:
        """Return a tile of the kernel, valid until the next call."""
        f_i, f_j = self.feat[rows], self.feat[cols]
        shape = (len(f_i), len(f_j))
        tile = self.buffer[: shape[0] * shape[1]].view(shape)
        if self.by_product:
            torch.mm(self.left[rows], self.right[cols].t(), out=tile)
        else:
            scratch = self.scratch[: tile.numel()].view(shape)
            tile.zero_()
            for d in range(f_i.shape[1]):
                torch.sub(f_i[:, d, None], f_j[None, :, d], out=scratch)
                tile.addcmul_(scratch, scratch, value=-0.5)
        return tile.clamp_(min=self.lowest, max=0.0).exp_()
