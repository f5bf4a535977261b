"""Multi-scale attentive loss (MAM) between the CAMs of a network and its teacher."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32


def multi_scale_attentive_loss(
    main_cams: Sequence[Tensor],
    support_cams: Sequence[Tensor],
    dissimilarity: bool = True,
) -> Tensor:
    """Compute the L1 distance of CAMs to a weighted mean of the teacher's CAMs.

    CAMs of the teacher get larger weights the more they differ from the student's.
    With the cosine of each pair of maps, image by image and class by class::

        V_s  = 1 / |R| * sum_r (2 - cos(A_s, B_r)) * B_r         no gradient
        loss = sum_s mean(|V_s - A_s|)

    The cosine with a map of zeros is 0. The weights are not normalized: targets of up
    to twice the teacher's mean make the CAM expand. Source: the multi-scale attentive
    module (MAM) of Yoon et al., "Exploring Pixel-level Self-supervision for
    Weakly Supervised Semantic Segmentation", https://arxiv.org/abs/2112.05351.

    Args:
        main_cams: The student's CAMs A_s, each (N, K, H, W), at least 0, with absent
            classes zeroed; one for each scale, all resized to one size.
        support_cams: The teacher's CAMs B_r, of the same shape.
        dissimilarity: Whether to weight the teacher's CAMs; otherwise their plain mean
            is the target (ablation).

    Returns:
        Scalar, computed in float32 (float64 for float64).

    Raises:
        ValueError: If a list is empty or the shapes differ.

    Example:
        >>> cam = torch.ones(1, 1, 2, 2)
        >>> multi_scale_attentive_loss([cam], [cam])  # equal maps: weight 1
        tensor(0.)
        >>> multi_scale_attentive_loss([0 * cam], [cam])  # cosine 0: weight 2
        tensor(2.)
    """
    shapes = {tuple(cam.shape) for cam in (*main_cams, *support_cams)}
    if not main_cams or not support_cams or len(shapes) != 1:
        raise ValueError(
            'expected CAMs of both networks, all of one shape (N, K, H, W), got '
            f'{len(main_cams)} main and {len(support_cams)} support CAMs of the shapes '
            f'{sorted(shapes)}'
        )
    supports = [at_least_float32(cam.detach()) for cam in support_cams]
    support_norms = [_norm(cam) for cam in supports]
    total = main_cams[0].new_zeros((), dtype=supports[0].dtype)
    for cam in main_cams:
        cam = at_least_float32(cam)
        with torch.no_grad():
            target = torch.zeros_like(cam)
            norm = _norm(cam)
            for support, support_norm in zip(supports, support_norms):
                dot = (cam * support).sum((2, 3), keepdim=True)
                weight = 1 + dissimilarity * (1 - dot / norm / support_norm)
                target.addcmul_(weight, support, value=1 / len(supports))
        total = total + (target - cam).abs().mean()
    return total


def _norm(cam: Tensor) -> Tensor:
    """Return the norm (N, K, 1, 1) of every map, infinite for a map of zeros."""
    norm = cam.square().sum((2, 3), keepdim=True).sqrt()
    return norm.masked_fill(norm == 0, torch.inf)


@MODELS.register_module()
class MultiScaleAttentiveLoss(nn.Module):
    """Module that computes :func:`multi_scale_attentive_loss`.

    Args:
        loss_weight: Weight of the loss.
        dissimilarity: Whether to weight the teacher's CAMs.
    """

    def __init__(self, loss_weight: float = 1.0, dissimilarity: bool = True) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.dissimilarity = dissimilarity

    def forward(
        self, main_cams: Sequence[Tensor], support_cams: Sequence[Tensor]
    ) -> Tensor:
        """Return the weighted loss of two lists of CAMs (N, K, H, W)."""
        return self.loss_weight * multi_scale_attentive_loss(
            main_cams, support_cams, self.dissimilarity
        )
