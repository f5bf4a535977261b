"""Resize maps bilinearly in float32, and labels by nearest neighbor."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from .precision import at_least_float32


def resize(maps: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Resize maps bilinearly, in float32 or wider.

    Half precision would round confidences and logits before they are compared with
    thresholds, so the result is never narrower than float32.

    Args:
        maps: Maps (N, C, h, w) of any floating type.
        size: Height H and width W of the result.
        align_corners: See :func:`torch.nn.functional.interpolate`.

    Returns:
        Maps (N, C, H, W), float32 or float64; the input itself if nothing changes.

    Example:
        >>> import torch
        >>> resize(torch.tensor([[[[0.0, 1.0]]]]), (1, 3), align_corners=True)
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    maps = at_least_float32(maps)
    if tuple(maps.shape[2:]) == tuple(size):
        return maps
    return F.interpolate(
        maps, tuple(size), mode='bilinear', align_corners=align_corners
    )


def resize_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Resize label maps or masks by nearest neighbor.

    Args:
        labels: Labels or mask (N, h, w) of any type.
        size: Height H and width W of the result.

    Returns:
        Labels (N, H, W) of the type of ``labels``.

    Example:
        >>> import torch
        >>> resize_labels(torch.tensor([[[3, 255]]]), (1, 4))
        tensor([[[  3,   3, 255, 255]]])
    """
    if tuple(labels.shape[1:]) == tuple(size):
        return labels
    resized = F.interpolate(labels[:, None].float(), tuple(size), mode='nearest')
    return resized[:, 0].to(labels.dtype)


def rescale(img: Tensor, scale: float, align_corners: bool = False) -> Tensor:
    """Resize images by a factor (bilinear), sides rounded down.

    Args:
        img: Images (N, C, H, W) of any floating type.
        scale: Factor of both sides, above 0.
        align_corners: See :func:`torch.nn.functional.interpolate`.

    Returns:
        Images of the same type; ``img`` itself at scale 1.
    """
    if scale == 1:
        return img
    size = scaled_size(img.shape[2:], scale)
    return F.interpolate(img, size, mode='bilinear', align_corners=align_corners)


def scaled_size(size: Sequence[int], scale: float) -> tuple[int, ...]:
    """Multiply side lengths by ``scale``, rounded down to at least 1.

    Example:
        >>> scaled_size((321, 3), 0.3)
        (96, 1)
    """
    return tuple(max(int(side * scale), 1) for side in size)
