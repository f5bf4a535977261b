"""Regions of a CAM and the prototypes of their features, for RCM.

The background is the last class here. Source: Yoon et al., "Exploring Pixel-level
Self-supervision for Weakly Supervised Semantic Segmentation",
https://arxiv.org/abs/2112.05351.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils import (
    at_least_float32,
    chunk_rows,
    interpolation_matrices,
    inverse_length,
    neighbor_products,
    resized_squares,
)
from .cam import normalize_cam


@torch.no_grad()
def region_labels(cam: Tensor, tags: Tensor, threshold: float = 0.3) -> Tensor:
    """Label pixels with the strongest class, or as background if it is weak.

    Args:
        cam: CAM (N, K, H, W), at least 0; each map is divided by its maximum.
        tags: Image tags (N, K) in {0, 1}.
        threshold: Pixels at which all maps are below it are background; above 0.

    Returns:
        Label (N, H, W) int64: k for class k, K for the background.

    Raises:
        ValueError: If the threshold is not above 0.

    Example:
        >>> cam = torch.tensor([[[[4.0, 1.0]], [[0.0, 2.0]]]])
        >>> region_labels(cam, torch.tensor([[1, 0]]))  # class 1 is absent
        tensor([[[0, 2]]])
    """
    if threshold <= 0:
        raise ValueError(f'the threshold of regions must be above 0, got {threshold}')
    strength, label = normalize_cam(cam, tags).max(1)
    return label.masked_fill(strength < threshold, cam.shape[1])


@torch.no_grad()
def regional_prototypes(
    feat: Tensor, region: Tensor, num_classes: int, chunk_size: int | None = None
) -> Tensor:
    """Compute the direction of the sum of all unit features of each region.

    ``L2norm(sum_x f(x) [region(x) = c])`` with ``f = L2norm(up(feat))``. The upsampled
    features are never formed: their lengths follow from products at the low resolution,
    and a sum over pixels is a sum over cells, each weighted by its interpolation
    coefficients in all pixels.

    Args:
        feat: Features (N, D, h, w).
        region: Label (N, H, W) int64; labels of at least ``num_classes`` belong to no
            region.
        num_classes: Number C of regions.
        chunk_size: Number of pixels processed at a time; by default 2**14 on a CPU and
            2**26 / C on other devices. Besides ``feat``, memory holds C low-resolution
            maps per image and ``chunk_size * C`` values.

    Returns:
        Prototypes (N, C, D), float32 or wider: of length 1, or zeros for an empty
        region.

    Example:
        >>> feat = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
        >>> region = torch.zeros(1, 2, 2, dtype=torch.int64)
        >>> regional_prototypes(feat, region, num_classes=2)
        tensor([[[0.6000, 0.8000],
                 [0.0000, 0.0000]]])
    """
    feat = at_least_float32(feat)
    products = neighbor_products(feat)
    heights = interpolation_matrices(feat.shape[2], region.shape[1], feat)
    widths = interpolation_matrices(feat.shape[3], region.shape[2], feat)
    rows = chunk_rows(region.shape, num_classes, feat.device, chunk_size)
    classes = torch.arange(num_classes, device=feat.device)[:, None, None]
    weights = feat.new_zeros(len(feat), num_classes, *feat.shape[2:])
    for height, label in zip(heights.split(rows, 1), region.split(rows, 1)):
        inverse = inverse_length(resized_squares(products, height, widths))
        scale = torch.where(label[:, None] == classes, inverse[:, None], 0.0)
        # The transposed interpolation adds up the coefficients of each cell.
        weights += height[0].T @ scale @ widths[0]
    return F.normalize(weights.flatten(2) @ feat.flatten(2).mT, dim=-1)


@torch.no_grad()
def leave_one_out(prototypes: Tensor) -> Tensor:
    """Average the prototypes of all other images, for each image.

    Args:
        prototypes: Prototypes (N, C, D) of N images; zeros for absent classes.

    Returns:
        Prototypes (N, C, D), row i from the images j != i: of length 1, or zeros if
        none of them has the class.

    Example:
        >>> leave_one_out(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))
        tensor([[[0., 1.]],
                [[1., 0.]]])
    """
    eye = torch.eye(len(prototypes), dtype=prototypes.dtype, device=prototypes.device)
    others = 1 - eye
    total = (others @ prototypes.flatten(1)).view_as(prototypes)
    return F.normalize(total, dim=-1)
