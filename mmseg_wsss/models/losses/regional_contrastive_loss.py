"""Regional contrastive loss (RCM): pixels against the prototypes of regions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmseg_wsss.registry import MODELS

from ..utils import (
    at_least_float32,
    chunk_rows,
    interpolation_matrices,
    inverse_length,
    neighbor_products,
    resized_squares,
)
from .rank_means import MIN_COUNT, mean_over_ranks

_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)


def _once(function: Callable[..., Tensor], *args: Any) -> Tensor:
    return function(*args)


def regional_contrastive_loss(
    feat: Tensor,
    prototypes: Tensor,
    region: Tensor,
    scale: float = 2.0,
    ignore_index: int = 255,
    chunk_size: int | None = None,
) -> Tensor:
    """Classify every pixel's feature against the prototypes of regions.

    ``CE(scale * cos(up(feat), prototype), region)``, averaged over the pixels of the
    batch and of all ranks. The cosine with a prototype or feature of zeros is 0.
    Source: the regional contrastive module (RCM) of Yoon et al., "Exploring Pixel-level
    Self-supervision for Weakly Supervised Semantic Segmentation",
    https://arxiv.org/abs/2112.05351.

    If ``region`` is larger than ``feat``, the features are upsampled bilinearly
    (``align_corners=False``) without ever being formed: both the products with the
    prototypes and the squared lengths of interpolated features follow exactly from
    products at the low resolution. Pixels are processed in chunks. If there are
    several, the backward pass recomputes them: besides ``feat``, memory holds its
    gradient, 4 low-resolution products and ``chunk_size * max(D, C)`` values.

    Args:
        feat: Features (N, D, h, w); computed in float32.
        prototypes: Prototypes (C, D), or (N, C, D) if they differ by image, of any
            length; they receive no gradient.
        region: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        scale: Factor of the cosines, the inverse of a temperature.
        ignore_index: Label of pixels that are left out.
        chunk_size: Number of pixels processed at a time; by default 2**14 on a CPU, to
            fit its cache, and 2**26 / C on other devices.

    Returns:
        Scalar; 0 with zero gradient if every pixel is ignored.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> feat = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1)
        >>> region = torch.zeros(1, 1, 1, dtype=torch.int64)
        >>> regional_contrastive_loss(feat, torch.eye(2), region)  # log(1 + exp(-2))
        tensor(0.1269)
        >>> regional_contrastive_loss(feat, torch.zeros(2, 2), region)  # log 2
        tensor(0.6931)
    """
    _check(feat, prototypes, region)
    with torch.autocast(feat.device.type, enabled=False):
        feat = at_least_float32(feat)
        target = F.normalize(prototypes.detach().to(feat.dtype), dim=-1) * scale
        target = target.expand(len(feat), -1, -1)
        same_size = feat.shape[2:] == region.shape[1:]
        channels = max(target.shape[1:]) if same_size else target.shape[1]
        rows = chunk_rows(region.shape, channels, feat.device, chunk_size)
        # A single chunk is not recomputed.
        run = _again if rows < region.shape[1] else _once
        total = feat.new_zeros(())
        # Chunks are rows of pixels, not images: a single image may be large.
        if same_size:
            for part, label in zip(feat.split(rows, 2), region.split(rows, 1)):
                total = total + run(_sum, part, target, label, ignore_index)
        else:
            # The products are linear in the features, so they are resized instead of
            # D channels; the normalization follows the resizing.
            dots = torch.einsum('ndhw,nkd->nkhw', feat, target)
            products = neighbor_products(feat)
            heights = interpolation_matrices(
                feat.shape[2], region.shape[1], feat
            ).split(rows, 1)
            widths = interpolation_matrices(feat.shape[3], region.shape[2], feat)
            for height, label in zip(heights, region.split(rows, 1)):
                args = (dots, products, height, widths, label, ignore_index)
                total = total + run(_resized_sum, *args)
    count = (region != ignore_index).sum().to(total.dtype)
    return total / mean_over_ranks(count).clamp(min=MIN_COUNT)


def _sum(feat: Tensor, target: Tensor, label: Tensor, ignore_index: int) -> Tensor:
    """Sum the cross entropy at the resolution of the features."""
    logits = torch.einsum('ndhw,nkd->nkhw', feat, target)
    logits = logits * inverse_length(feat.square().sum(1))[:, None]
    return _cross_entropy_sum(logits, label, ignore_index)


def _resized_sum(
    dots: Tensor,
    products: Tensor,
    heights: Tensor,
    widths: Tensor,
    label: Tensor,
    ignore_index: int,
) -> Tensor:
    """Sum the cross entropy of some rows of the upsampled features.

    Args:
        dots: Products (N, C, h, w) of features and prototypes.
        products: See :func:`neighbor_products`.
        heights: Matrices of these rows (3, rows, h), see
            :func:`interpolation_matrices`.
        widths: Matrices of all columns (3, W, w).
        label: Label (N, rows, W).
        ignore_index: Label of pixels that are left out.
    """
    logits = heights[0] @ dots @ widths[0].T
    scale = inverse_length(resized_squares(products, heights, widths))
    return _cross_entropy_sum(logits * scale[:, None], label, ignore_index)


def _cross_entropy_sum(logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
    return F.cross_entropy(logits, label, ignore_index=ignore_index, reduction='sum')


def _check(feat: Tensor, prototypes: Tensor, region: Tensor) -> None:
    per_image = prototypes.dim() == 3 and len(prototypes) == len(feat)
    if (
        feat.dim() != 4
        or not (prototypes.dim() == 2 or per_image)
        or prototypes.shape[-1] != feat.shape[1]
        or region.dim() != 3
        or len(region) != len(feat)
    ):
        raise ValueError(
            'expected features (N, D, h, w), prototypes (C, D) or (N, C, D) and '
            f'regions (N, H, W), got {tuple(feat.shape)}, '
            f'{tuple(prototypes.shape)} and {tuple(region.shape)}'
        )


@MODELS.register_module()
class RegionalContrastiveLoss(nn.Module):
    """Module that computes :func:`regional_contrastive_loss`.

    Args:
        loss_weight: Weight of the loss.
        scale: Factor of the cosines, the inverse of a temperature.
    """

    def __init__(self, loss_weight: float = 1.0, scale: float = 2.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.scale = scale

    def forward(self, feat: Tensor, prototypes: Tensor, region: Tensor) -> Tensor:
        """Return the weighted loss of features (N, D, h, w) and regions (N, H, W)."""
        return self.loss_weight * regional_contrastive_loss(
            feat, prototypes, region, self.scale
        )
