"""Propagation of the local refiners as a Triton kernel, for CUDA.

A step reads each map and the weights once from memory and writes each map once; the
values of the neighbors come from the cache. In plain torch every neighbor is one more
pass over all maps. Weights are stored in half precision, maps and sums in single:
labels then agree on 99.99 % of the pixels, with maps in half precision on 98 % only.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK_CHANNELS = 4
BLOCK_PIXELS = 256


@triton.jit
def _step(  # type: ignore[no-untyped-def]
    maps,
    weights,
    rows,
    columns,
    out,
    channels,
    height,
    width,
    neighbors,
    block_c: tl.constexpr,
    block_p: tl.constexpr,
):
    """Compute one weighted sum over the neighbors, clamped to the image.

    A program handles ``block_c`` maps at ``block_p`` pixels of one image, so that a
    weight is loaded once for ``block_c`` maps.
    """
    size = height * width
    pixel = tl.program_id(0) * block_p + tl.arange(0, block_p)
    channel = tl.program_id(1) * block_c + tl.arange(0, block_c)
    image = tl.program_id(2).to(tl.int64)  # offsets may exceed 32 bits
    row, column = pixel // width, pixel % width
    inside = pixel < size
    both = (channel < channels)[:, None] & inside[None, :]
    base = (image * channels + channel)[:, None] * size
    total = tl.full((block_c, block_p), 0.0, tl.float32)
    for k in range(neighbors):
        y = tl.minimum(tl.maximum(row + tl.load(rows + k), 0), height - 1)
        x = tl.minimum(tl.maximum(column + tl.load(columns + k), 0), width - 1)
        at = (image * neighbors + k) * size + pixel
        weight = tl.load(weights + at, mask=inside, other=0.0).to(tl.float32)
        value = tl.load(maps + base + (y * width + x)[None, :], mask=both, other=0.0)
        total += value * weight[None, :]
    tl.store(out + base + pixel[None, :], total, mask=both)


def propagate(
    mask: Tensor, weights: Tensor, offsets: Sequence[tuple[int, int]], num_iters: int
) -> Tensor:
    """Run all steps of propagation.

    Args:
        mask: Maps (N, C, H, W) float32 on a GPU.
        weights: Weights (N, K, H, W) of the K neighbors, rounded to half precision.
        offsets: Rows and columns of the K neighbors, in the order of ``weights``.
        num_iters: Number of steps, at least 1.

    Returns:
        Maps (N, C, H, W) float32.
    """
    num, channels, height, width = mask.shape
    weights = weights.half().contiguous()
    rows, columns = torch.tensor(offsets, dtype=torch.int32, device=mask.device).T
    rows, columns = rows.contiguous(), columns.contiguous()
    grid = (
        triton.cdiv(height * width, BLOCK_PIXELS),
        triton.cdiv(channels, BLOCK_CHANNELS),
        num,
    )
    # Two buffers in turn; the mask of the caller is read only.
    source = mask.contiguous()
    buffers = [torch.empty_like(source) for _ in range(min(num_iters, 2))]
    for step in range(num_iters):
        target = buffers[step % 2]
        _step[grid](
            source,
            weights,
            rows,
            columns,
            target,
            channels,
            height,
            width,
            len(offsets),
            block_c=BLOCK_CHANNELS,
            block_p=BLOCK_PIXELS,
        )
        source = target
    return source
