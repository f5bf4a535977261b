"""Supervision of displacement fields: all pixels of an object point to one position."""

import torch
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32, constant, half_disk, partners
from .rank_means import mean_of_valid


def displacement_loss(
    field: Tensor, pseudo: Tensor, radius: int = 5, ignore_index: int = 255
) -> Tensor:
    """Supervise displacements so that the pixels of an object point to one position.

    ``1/2 mean_fg |D(i) - D(j) - (j - i)| + 1/2 mean_bg |D(i) - D(j)|`` over the pairs
    of nearby pixels of the same class, and of the background. A distance is the mean
    over both components; the means are over the batch and all ranks. Source: the
    displacement losses of Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance
    Segmentation with Inter-pixel Relations" (IRN), https://arxiv.org/abs/1904.05044.

    Args:
        field: Displacements (N, 2, h, w) in cells, rows first; computed in float32.
        pseudo: Label (N, h, w) int64, 0 for the background, or ``ignore_index``.
        radius: Radius of the pairs, at least 2, see
            :func:`~mmseg_wsss.models.utils.half_disk`.
        ignore_index: Label of pixels that are in no pair.

    Returns:
        Scalar; exactly 0 with zero gradient if every pixel is ignored.

    Raises:
        ValueError: If the shapes do not match, or ``radius`` is below 2.

    Example:
        >>> field = torch.zeros(1, 2, 1, 3)
        >>> field[0, 1] = torch.tensor([1.0, 0.0, -1.0])  # all point to the middle
        >>> displacement_loss(field, torch.ones(1, 1, 3, dtype=torch.int64))
        tensor(0.)
    """
    if field.shape != (len(pseudo), 2, *pseudo.shape[1:]):
        raise ValueError(
            'expected displacements (N, 2, h, w) for a label (N, h, w), got '
            f'{tuple(field.shape)} and {tuple(pseudo.shape)}'
        )
    field = at_least_float32(field)
    other = partners(pseudo, radius, ignore_index)
    label = pseudo[:, None].expand_as(other)
    same = (label != ignore_index) & (label == other)
    offsets = constant(half_disk(radius), field).view(1, -1, 2, 1, 1)
    moved = torch.stack([partners(part, radius, 0.0) for part in field.unbind(1)], 2)
    difference = field[:, None] - moved  # (N, P, 2, h, w)
    foreground = (difference - offsets).abs().mean(2)
    background = difference.abs().mean(2)
    return (
        mean_of_valid(foreground, same & (label > 0)) / 2
        + mean_of_valid(background, same & (label == 0)) / 2
    )


@MODELS.register_module()
class DisplacementLoss(nn.Module):
    """Module that computes :func:`displacement_loss`.

    Args:
        loss_weight: Weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, field: Tensor, pseudo: Tensor, radius: int) -> Tensor:
        """Return the weighted loss of a field (N, 2, h, w) and labels (N, h, w)."""
        return self.loss_weight * displacement_loss(field, pseudo, radius)
