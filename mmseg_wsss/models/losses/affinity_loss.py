"""Supervision of a dense affinity matrix by pseudo-labels."""

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32, near_pairs
from .rank_means import ratio_over_ranks


def affinity_loss(
    affinity: Tensor, pseudo: Tensor, radius: int = 8, ignore_index: int = 255
) -> Tensor:
    """Supervise affinities of nearby cells: 1 for equal labels, 0 for different ones.

    ``0.5 sum_pos(1 - A) / (#pos + 1) + 0.5 sum_neg A / (#neg + 1)`` over the pairs of
    labeled cells that are at most ``radius`` apart in rows and columns; a cell also
    forms a pair with itself. Sums and counts run over the batch and all ranks. Source:
    L_aff of Ru et al., "Learning Affinity from Attention" (AFA), with the search radius
    of their released code, https://arxiv.org/abs/2203.02664; TSCD uses the same.

    Args:
        affinity: Affinities (N, n, n) in [0, 1] with n = h * w; computed in float32.
        pseudo: Label (N, h, w) int64, or ``ignore_index``.
        radius: Largest Chebyshev distance of a pair in grid cells.
        ignore_index: Label of cells that are in no pair.

    Returns:
        Scalar in [0, 1); exactly 0 with zero gradient if every cell is ignored.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> pseudo = torch.tensor([[[0, 1]]])  # 2 equal pairs, 2 different ones
        >>> affinity_loss(torch.eye(2)[None], pseudo)
        tensor(0.)
        >>> affinity_loss(torch.full((1, 2, 2), 0.5), pseudo)  # 0.5 * 1/3 + 0.5 * 1/3
        tensor(0.3333)
    """
    num = pseudo[0].numel() if pseudo.dim() == 3 and len(pseudo) else -1
    if affinity.shape != (len(pseudo), num, num):
        raise ValueError(
            'expected affinities (N, h * w, h * w) and a label (N, h, w), got '
            f'{tuple(affinity.shape)} and {tuple(pseudo.shape)}'
        )
    affinity = at_least_float32(affinity)
    label = pseudo.flatten(1)
    valid = label != ignore_index
    near = near_pairs(pseudo.shape[1:], radius, pseudo.device)
    pairs = valid[:, :, None] & valid[:, None] & near
    same = label[:, :, None] == label[:, None]
    # ratio_over_ranks divides by the mean count of the ranks: 1 / world_size on each
    # rank adds the 1 of the formula to their sum.
    one = 1 / get_world_size()
    errors = ((pairs & same, 1 - affinity), (pairs & ~same, affinity))
    totals = [torch.where(chosen, error, 0.0).sum() for chosen, error in errors]
    counts = [chosen.sum().to(affinity.dtype) + one for chosen, _ in errors]
    return ratio_over_ranks(torch.stack(totals), torch.stack(counts)).mean()


@MODELS.register_module()
class AffinityLoss(nn.Module):
    """Module that computes :func:`affinity_loss`.

    Args:
        loss_weight: Weight of the loss.
        radius: Largest Chebyshev distance of a pair in grid cells.
    """

    def __init__(self, loss_weight: float = 1.0, radius: int = 8) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.radius = radius

    def forward(self, affinity: Tensor, pseudo: Tensor) -> Tensor:
        """Return the weighted loss of affinities (N, n, n) and labels (N, h, w)."""
        return self.loss_weight * affinity_loss(affinity, pseudo, self.radius)
