"""Gaussian sums over all pairs of pixels as a Triton kernel, for CUDA.

Weights of pairs are never stored: each program reads the features and values of an
image once for its block of pixels. Tested in Triton's interpreter; not measured on a
GPU.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Pixels per program, pixels summed at a time, and the smallest and largest number of
# values per program: with these, registers do not spill on sm_80 and sm_90.
BLOCK_I, BLOCK_J = 64, 32
MIN_VALUES, MAX_VALUES = 16, 64


@triton.jit
def _sum(  # type: ignore[no-untyped-def]
    feat,
    values,
    out,
    num_values,
    num_pixels,
    num_feats: tl.constexpr,
    block_v: tl.constexpr,
    block_i: tl.constexpr,
    block_j: tl.constexpr,
):
    """Compute ``A_vi = sum_j exp(-|f_i - f_j|^2 / 2) v_vj``.

    A program handles ``block_v`` values of ``block_i`` pixels of one image, and sums
    over ``block_j`` pixels at a time. Differences of features are exact; products would
    have to be split, as in :func:`.gaussian_sum`.
    """
    i = tl.program_id(0) * block_i + tl.arange(0, block_i)
    v = tl.program_id(1) * block_v + tl.arange(0, block_v)
    image = tl.program_id(2).to(tl.int64)  # offsets may exceed 32 bits
    feat += image * num_feats * num_pixels
    values += image * num_values * num_pixels
    out += image * num_values * num_pixels
    known = (v < num_values)[None, :]
    total = tl.full((block_i, block_v), 0.0, tl.float32)
    for start in range(0, num_pixels, block_j):
        j = start + tl.arange(0, block_j)
        squares = tl.full((block_i, block_j), 0.0, tl.float32)
        for d in tl.static_range(num_feats):
            f_i = tl.load(feat + d * num_pixels + i, mask=i < num_pixels, other=0.0)
            f_j = tl.load(feat + d * num_pixels + j, mask=j < num_pixels, other=0.0)
            gap = f_i[:, None] - f_j[None, :]
            squares += gap * gap
        at = v[None, :] * num_pixels + j[:, None]
        inside = known & (j < num_pixels)[:, None]
        value = tl.load(values + at, mask=inside, other=0.0)
        # Three products of split numbers, as exact as float32; TF32 has 11 bits.
        total += tl.dot(tl.exp(-0.5 * squares), value, input_precision='tf32x3')
    at = v[None, :] * num_pixels + i[:, None]
    tl.store(out + at, total, mask=known & (i < num_pixels)[:, None])


def gaussian_sums(feat: Tensor, values: Tensor) -> Tensor:
    """Compute the sums of :func:`.gaussian_sum` for a batch of images.

    Args:
        feat: Features (N, D, n) float32 on a GPU.
        values: Values (N, L, n) float32 on the same GPU.

    Returns:
        Sums (N, L, n) float32.
    """
    feat, values = feat.contiguous(), values.contiguous()
    num, num_values, num_pixels = values.shape
    out = torch.empty_like(values)
    if not out.numel():
        return out
    block_v = max(triton.next_power_of_2(num_values), MIN_VALUES)
    block_v = min(block_v, MAX_VALUES)
    grid = (
        triton.cdiv(num_pixels, BLOCK_I),
        triton.cdiv(num_values, block_v),
        num,
    )
    with torch.cuda.device_of(values):  # kernels start on the current device
        _sum[grid](
            feat,
            values,
            out,
            num_values,
            num_pixels,
            num_feats=feat.shape[1],
            block_v=block_v,
            block_i=BLOCK_I,
            block_j=BLOCK_J,
        )
    return out
