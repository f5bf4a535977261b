"""Cross entropy that is defined for a batch without any label."""

import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32
from .rank_means import mean_of_valid
from .utils import DecodeLoss, check_label_shape


def valid_cross_entropy(
    logits: Tensor,
    pseudo: Tensor,
    ignore_index: int = 255,
    counted: Tensor | None = None,
) -> Tensor:
    """Compute the mean cross entropy over the labeled pixels of all ranks.

    PyTorch's mean is NaN if every pixel is ignored, and mmseg's divides by the number
    of all pixels; this one is over labeled pixels only, and 0 if there are none.

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        ignore_index: Label of pixels that are left out.
        counted: Mask (N, H, W) bool of the pixels to average over, unlabeled ones with
            a loss of 0; the labeled pixels by default.

    Returns:
        Scalar; 0 with zero gradient if every pixel is ignored.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> logits = torch.zeros(1, 4, 1, 2)
        >>> valid_cross_entropy(logits, torch.tensor([[[3, 255]]]))  # log 4
        tensor(1.3863)
    """
    check_label_shape(logits, pseudo)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    return mean_of_valid(values, pseudo != ignore_index if counted is None else counted)


@MODELS.register_module()
class ValidCrossEntropyLoss(DecodeLoss):
    """Module that computes :func:`valid_cross_entropy`.

    Suitable for data without a background class, which
    :class:`~mmseg_wsss.models.losses.BalancedCrossEntropyLoss` needs.

    Args:
        loss_weight: Weight of the loss.
        loss_name: Key of the loss in mmseg's decode heads.
    """

    function = staticmethod(valid_cross_entropy)
