"""Lengths of bilinearly upsampled features, without forming the features.

An upsampled feature is ``(1-t)(1-s) a + (1-t) s b + t (1-s) c + t s d`` of four
neighbors. Its squared length is a quadratic form in the inner products of the four, and
these are 4 maps at the low resolution instead of D channels at the high one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .constants import made_once

# Squared length at and below which features count as zeros.
MIN_SQUARE = 1e-24


def interpolation_matrices(old: int, new: int, like: Tensor) -> Tensor:
    """Return the matrices of bilinear resizing along one axis, ``align_corners=False``.

    A new value is ``(1 - t) * a + t * b`` of two old neighbors. The result is shared by
    equal calls and must not be modified.

    Args:
        old: Old size.
        new: New size.
        like: Tensor with the type and device of the result.

    Returns:
        Tensor (3, new, old): the factors of a and b in the value; those of a ** 2 and
        b ** 2 in its square; and the factor of a * b in its square, in the column of a.

    Example:
        >>> interpolation_matrices(2, 3, torch.zeros(1))[0]
        tensor([[1.0000, 0.0000],
                [0.5000, 0.5000],
                [0.0000, 1.0000]])
    """
    return _interpolation_matrices(old, new, like.dtype, like.device)


@made_once
def _interpolation_matrices(
    old: int, new: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    pixel = torch.arange(new, dtype=torch.float64, device=device)
    position = ((pixel + 0.5) * (old / new) - 0.5).clamp(min=0)
    first = position.long().clamp(max=old - 1)
    t = (position - first)[:, None]
    a = F.one_hot(first, old)
    b = F.one_hot((first + 1).clamp(max=old - 1), old)
    matrices = [
        a * (1 - t) + b * t,
        a * (1 - t) ** 2 + b * t**2,
        a * (2 * t * (1 - t)),
    ]
    return torch.stack(matrices).to(dtype)


def neighbor_products(feat: Tensor) -> Tensor:
    """Compute the inner products of every feature with itself and its neighbors.

    Args:
        feat: Features (N, D, h, w); the border is repeated.

    Returns:
        Products (4, N, h, w): with the feature, with the one below, with the one to the
        right, and the sum of the two diagonal products of the four neighbors.
    """
    padded = F.pad(feat, (0, 1, 0, 1), mode='replicate')
    below, right = padded[..., 1:, :-1], padded[..., :-1, 1:]
    diagonal = (feat * padded[..., 1:, 1:]).sum(1) + (right * below).sum(1)
    return torch.stack(
        [feat.square().sum(1), (feat * below).sum(1), (feat * right).sum(1), diagonal]
    )


def resized_squares(products: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """Compute the squared lengths of upsampled features.

    Exact up to rounding errors, which are larger if neighbors cancel each other;
    features after a ReLU never do.

    Args:
        products: See :func:`neighbor_products`.
        heights: :func:`interpolation_matrices` of some rows (3, rows, h).
        widths: :func:`interpolation_matrices` of all columns (3, W, w).

    Returns:
        Squared lengths (N, rows, W).

    Example:
        >>> feat = torch.rand(1, 8, 3, 4)
        >>> heights = interpolation_matrices(3, 6, feat)
        >>> widths = interpolation_matrices(4, 8, feat)
        >>> squares = resized_squares(neighbor_products(feat), heights, widths)
        >>> up = torch.nn.functional.interpolate(feat, (6, 8), mode='bilinear')
        >>> torch.allclose(squares, up.square().sum(1), rtol=1e-4)
        True
    """
    own, below, beside, diagonal = products
    line = heights[1] @ own + heights[2] @ below
    step = heights[1] @ beside + heights[2] @ diagonal / 2
    return line @ widths[1].T + step @ widths[2].T


def inverse_length(squares: Tensor) -> Tensor:
    """Return ``1 / sqrt(squares)``, and 0 for features of zeros."""
    inverse = squares.clamp(min=MIN_SQUARE).rsqrt()
    return torch.where(squares > MIN_SQUARE, inverse, 0.0)
