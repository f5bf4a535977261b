"""Supervision of the affinities of pixel pairs by pseudo-labels."""

import torch
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32, half_disk, partners
from .rank_means import mean_of_valid
from .utils import check_label_shape


def pair_affinity_loss(
    affinity: Tensor,
    pseudo: Tensor,
    radius: int = 5,
    ignore_index: int = 255,
    eps: float = 1e-5,
) -> Tensor:
    """Supervise affinities of nearby pixels, with one mean for each kind of pair.

    ``1/4 mean_bg(-log A) + 1/4 mean_fg(-log A) + 1/2 mean_neg(-log(1 - A))`` over the
    pairs of labeled pixels: both background, both of the same class, or different.
    Means are over the batch and all ranks; a mean over no pairs is 0. Source: Ahn and
    Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision for
    Weakly Supervised Semantic Segmentation" (PSA), https://arxiv.org/abs/1803.10464.

    Args:
        affinity: Affinities (N, P, h, w) of
            :func:`~mmseg_wsss.models.utils.pair_affinity`, in [0, 1]; computed in
            float32.
        pseudo: Label (N, h, w) int64, 0 for the background, or ``ignore_index``.
        radius: Radius of the pairs, at least 2.
        ignore_index: Label of pixels that are in no pair.
        eps: Added inside the logarithms.

    Returns:
        Scalar; exactly 0 with zero gradient if every pixel is ignored.

    Raises:
        ValueError: If the shapes do not match each other or the radius, or ``radius``
            is below 2.

    Example:
        >>> pseudo = torch.tensor([[[1, 1]]])
        >>> affinity = torch.full((1, 4, 1, 2), 0.5)  # 4 pairs per pixel at radius 2
        >>> pair_affinity_loss(affinity, pseudo, radius=2)  # 1/4 log 2
        tensor(0.1733)
    """
    check_label_shape(affinity, pseudo)
    if affinity.shape[1] != len(half_disk(radius)):
        raise ValueError(
            f'radius {radius} has {len(half_disk(radius))} pairs per pixel, got '
            f'affinities of {affinity.shape[1]}'
        )
    affinity = at_least_float32(affinity)
    other = partners(pseudo, radius, ignore_index)
    label = pseudo[:, None].expand_as(other)
    both = (label != ignore_index) & (other != ignore_index)
    same = both & (label == other)
    groups = torch.stack([same & (label == 0), same & (label > 0)])
    background, foreground = mean_of_valid(-(affinity + eps).log(), groups)
    different = mean_of_valid(-(1 - affinity + eps).log(), both & ~same)
    return background / 4 + foreground / 4 + different / 2


@MODELS.register_module()
class PairAffinityLoss(nn.Module):
    """Module that computes :func:`pair_affinity_loss`.

    Args:
        loss_weight: Weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, affinity: Tensor, pseudo: Tensor, radius: int) -> Tensor:
        """Return the weighted loss of affinities (N, P, h, w) and labels (N, h, w)."""
        return self.loss_weight * pair_affinity_loss(affinity, pseudo, radius)
