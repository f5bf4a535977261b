"""Self correspondence distillation (SCD) from CAMs to segmentation logits."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32
from .rank_means import mean_over_ranks


def self_correspondence_loss(
    cam_a: Tensor,
    logits_a: Tensor,
    cam_b: Tensor,
    logits_b: Tensor,
    points_a: Tensor,
    points_b: Tensor,
    shift: float = 0.0,
) -> Tensor:
    """Distill correlations between the CAMs of two views into the logits.

    With the cosines ``F_pq`` of the CAMs and ``G_pq`` of the logits at point p of view
    a and point q of view b::

        F'_pq = F_pq - mean_q F_pq
        loss  = -mean(max(G, 0) * (F' + mean(F) - shift))

    The CAMs are targets without gradient; mean(F) is over all images of all ranks.
    Pairs with G < 0 get no gradient: they are never pulled together. Source: L_scd of
    Xu et al., "Self Correspondence Distillation for End-to-End Weakly-Supervised
    Semantic Segmentation" (TSCD), https://arxiv.org/abs/2302.13765, which follows the
    correlation loss of Hamilton et al., "Unsupervised Semantic Segmentation by
    Distilling Feature Correspondences" (STEGO), https://arxiv.org/abs/2203.08414.

    Args:
        cam_a: CAMs (N, K, h, w) of view a; to exclude absent classes or padding, set
            them to 0 beforehand (the released code does not).
        logits_a: Logits (N, C, h', w') of view a.
        cam_b: CAMs (N, K, ...) of view b, of any size.
        logits_b: Logits (N, C, ...) of view b, of any size.
        points_a: Points (N, P, 2) of view a as (x, y) in [-1, 1], where -1 and 1 are
            the centers of the outermost pixels.
        points_b: Points (N, Q, 2) of view b, drawn independently of ``points_a``.
        shift: STEGO's b: pairs with a lower correlation are pushed apart; 0 in TSCD.

    Returns:
        Scalar, computed in float32 (float64 for float64).

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> cam, logits = torch.rand(2, 3, 8, 8), torch.rand(2, 4, 16, 16)
        >>> points = torch.rand(2, 5, 2) * 2 - 1
        >>> loss = self_correspondence_loss(cam, logits, cam, logits, points, points)
        >>> loss.shape
        torch.Size([])
    """
    _check(cam_a, logits_a, cam_b, logits_b, points_a, points_b)
    with torch.autocast(logits_a.device.type, enabled=False):
        teacher = _cosines(cam_a.detach(), cam_b.detach(), points_a, points_b)
        student = _cosines(logits_a, logits_b, points_a, points_b)
        mean = mean_over_ranks(teacher.mean())
        # The rows of F - mean_q F sum to 0, so the mean of this is 0 and adds nothing.
        target = teacher - teacher.mean(2, keepdim=True) + (mean - shift)
        return -(student.clamp(min=0) * target).mean()


def _cosines(
    map_a: Tensor, map_b: Tensor, points_a: Tensor, points_b: Tensor
) -> Tensor:
    """Return the cosine (N, P, Q) of the channels at each pair of points."""
    at_a = _sample(at_least_float32(map_a), points_a)
    at_b = _sample(at_least_float32(map_b), points_b)
    return at_a.transpose(1, 2) @ at_b


def _sample(maps: Tensor, points: Tensor) -> Tensor:
    """Return unit vectors (N, C, P) of the maps at the points; zeros stay zeros."""
    grid = points.detach().to(maps.dtype)[:, :, None]
    values = F.grid_sample(maps, grid, padding_mode='border', align_corners=True)
    return F.normalize(values[..., 0], dim=1, eps=1e-10)


def _check(
    cam_a: Tensor,
    logits_a: Tensor,
    cam_b: Tensor,
    logits_b: Tensor,
    points_a: Tensor,
    points_b: Tensor,
) -> None:
    for name, a, b in (('CAMs', cam_a, cam_b), ('logits', logits_a, logits_b)):
        if a.dim() != 4 or b.dim() != 4 or a.shape[:2] != b.shape[:2]:
            raise ValueError(
                f'{name} must be (N, C, h, w) with one N and C in both views, got '
                f'{tuple(a.shape)} and {tuple(b.shape)}'
            )
    for points in (points_a, points_b):
        if points.dim() != 3 or points.shape[::2] != (len(cam_a), 2):
            raise ValueError(
                f'points must be (N, P, 2) with N = {len(cam_a)}, got '
                f'{tuple(points.shape)}'
            )
    if len(logits_a) != len(cam_a):
        raise ValueError(
            f'got CAMs of {len(cam_a)} images and logits of {len(logits_a)}'
        )


@MODELS.register_module()
class SelfCorrespondenceLoss(nn.Module):
    """Module that computes :func:`self_correspondence_loss`.

    Args:
        loss_weight: Weight of the loss.
        shift: STEGO's b, 0 in TSCD.
    """

    def __init__(self, loss_weight: float = 1.0, shift: float = 0.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.shift = shift

    def forward(
        self,
        cam_a: Tensor,
        logits_a: Tensor,
        cam_b: Tensor,
        logits_b: Tensor,
        points_a: Tensor,
        points_b: Tensor,
    ) -> Tensor:
        """Return the weighted loss, see :func:`self_correspondence_loss`."""
        return self.loss_weight * self_correspondence_loss(
            cam_a, logits_a, cam_b, logits_b, points_a, points_b, self.shift
        )
