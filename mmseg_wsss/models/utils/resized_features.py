"""Lengths of bilinearly upsampled features that are never formed."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Squared length at and below which features count as zeros.
MIN_SQUARE = 1e-24


def interpolation_matrices(old: int, new: int, like: Tensor) -> Tensor:
    """Bilinear resizing along one axis, ``align_corners=False``, as matrices.

    With ``t`` the share of the second of two old neighbors in a new value
    ``(1 - t) * a + t * b``.

    Args:
        old: Old size.
        new: New size.
        like: Tensor whose type and device the result gets.

    Returns:
        Tensor (3, new, old): the factors of a and b in the value; those of a ** 2 and
        b ** 2 in its square; and that of a * b in its square, in the column of a.
    """
    position = (torch.arange(new, dtype=torch.float64) + 0.5) * (old / new) - 0.5
    position = position.clamp(min=0)
    first = position.long().clamp(max=old - 1)
    t = (position - first)[:, None]
    a = F.one_hot(first, old)
    b = F.one_hot((first + 1).clamp(max=old - 1), old)
    matrices = [
        a * (1 - t) + b * t,
        a * (1 - t) ** 2 + b * t**2,
        a * (2 * t * (1 - t)),
    ]
    return torch.stack(matrices).to(like)


def neighbor_products(feat: Tensor) -> Tensor:
    """Inner products (4, N, h, w) of every feature with itself and its neighbors.

    With the feature below, with the one to the right, and the sum of those across both
    diagonals of the four. The border repeats.

    Args:
        feat: Features (N, D, h, w).
    """
    padded = F.pad(feat, (0, 1, 0, 1), mode='replicate')
    below, right = padded[..., 1:, :-1], padded[..., :-1, 1:]
    diagonal = (feat * padded[..., 1:, 1:]).sum(1) + (right * below).sum(1)
    return torch.stack(
        [feat.square().sum(1), (feat * below).sum(1), (feat * right).sum(1), diagonal]
    )


def resized_squares(products: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """Squared lengths (N, rows, W) of upsampled features.

    Exact; where neighbors cancel each other digits are lost, which features after a
    ReLU never do.

    Args:
        products: See :func:`neighbor_products`.
        heights: :func:`interpolation_matrices` of some rows (3, rows, h).
        widths: Those of all columns (3, W, w).
    """
    own, below, beside, diagonal = products
    line = heights[1] @ own + heights[2] @ below
    step = heights[1] @ beside + heights[2] @ diagonal / 2
    return line @ widths[1].T + step @ widths[2].T


def inverse_length(squares: Tensor) -> Tensor:
    """``1 / sqrt(squares)``, and 0 for features of zeros."""
    inverse = squares.clamp(min=MIN_SQUARE).rsqrt()
    return torch.where(squares > MIN_SQUARE, inverse, 0.0)
