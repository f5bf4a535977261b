import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32, near_pairs
from .utils import mean_over_ranks


def affinity_loss(
    affinity: Tensor, pseudo: Tensor, radius: int = 8, ignore_index: int = 255
) -> Tensor:
    """Pull the affinity of near pixels to 1 where they have one label, else to 0.

    ``0.5 sum_pos(1 - A) / (#pos + 1) + 0.5 sum_neg A / (#neg + 1)`` over the pairs that
    are at most ``radius`` apart in rows and columns, a pixel and itself included, and
    both labeled (L_aux of tscd.md, section 8; AFA). Sums and counts run over the batch
    and all ranks.

    Args:
        affinity: Affinities (N, n, n) in [0, 1] with n = h * w; computed in float32.
        pseudo: Label (N, h, w) int64, or ``ignore_index``.
        radius: Largest Chebyshev distance of a pair in grid cells.
        ignore_index: Label of pixels that are in no pair.

    Returns:
        Scalar; exactly 0 with zero gradient where every pixel is ignored.

    Raises:
        ValueError: If the shapes do not fit.
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
    one = 1 / get_world_size()  # averaged over the ranks like the counts
    terms = []
    for chosen, error in ((pairs & same, 1 - affinity), (pairs & ~same, affinity)):
        count = mean_over_ranks(chosen.sum().to(affinity.dtype)) + one
        terms.append(torch.where(chosen, error, 0.0).sum() / count)
    return 0.5 * (terms[0] + terms[1])


@MODELS.register_module()
class AffinityLoss(nn.Module):
    """Module of :func:`affinity_loss`.

    Args:
        loss_weight: Factor of the loss.
        radius: Largest Chebyshev distance of a pair in grid cells.
        ignore_index: Label of pixels that are in no pair.
    """

    def __init__(
        self, loss_weight: float = 1.0, radius: int = 8, ignore_index: int = 255
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.radius = radius
        self.ignore_index = ignore_index

    def forward(self, affinity: Tensor, pseudo: Tensor) -> Tensor:
        """Scalar loss of affinities (N, n, n) and label (N, h, w)."""
        return self.loss_weight * affinity_loss(
            affinity, pseudo, self.radius, self.ignore_index
        )
