"""Cross entropy on the confident pseudo-labels of a teacher."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..utils import at_least_float32
from .rank_means import mean_of_valid
from .utils import check_label_shape


def confident_cross_entropy(
    logits: Tensor,
    pseudo: Tensor,
    conf: Tensor,
    conf_thr: float,
    ignore_index: int = 255,
) -> tuple[Tensor, Tensor]:
    """Compute the cross entropy of confident pseudo-labels, averaged over valid pixels.

    The mean is over all valid pixels of the batch and of all ranks, not only over the
    confident ones, so the loss grows with the ratio of confident pixels. Source: Yang
    et al., "Revisiting Weak-to-Strong Consistency in Semi-Supervised Semantic
    Segmentation" (UniMatch), https://arxiv.org/abs/2208.09910.

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        conf: Confidence (N, H, W) of the label, in [0, 1].
        conf_thr: Pixels with a lower confidence contribute no loss.
        ignore_index: Label of pixels that are left out.

    Returns:
        Scalar loss, and the scalar ratio of confident pixels among the valid ones of
        this rank; both are 0, with zero gradient, if every pixel is ignored.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 2)
        >>> pseudo = torch.tensor([[[0, 1]]])
        >>> conf = torch.tensor([[[0.99, 0.5]]])
        >>> loss, ratio = confident_cross_entropy(logits, pseudo, conf, conf_thr=0.95)
        >>> loss, ratio  # half of log 2
        (tensor(0.3466), tensor(0.5000))
    """
    check_label_shape(logits, pseudo)
    check_label_shape(logits, conf)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    valid = pseudo != ignore_index
    confident = conf >= conf_thr
    ratio = (confident & valid).sum() / valid.sum().clamp(min=1)
    return mean_of_valid(torch.where(confident, values, 0.0), valid), ratio
