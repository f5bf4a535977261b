"""Cross entropy with equal weights of background and foreground."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32
from .rank_means import mean_of_valid
from .utils import DecodeLoss, check_label_shape


def balanced_cross_entropy(
    logits: Tensor, pseudo: Tensor, ignore_index: int = 255
) -> Tensor:
    """Compute the cross entropy with equal weights of background and foreground.

    ``0.5 CE(background) + 0.5 CE(foreground)``; each term is a mean over the pixels of
    its kind in the batch and on all ranks. This is L_seg of AFA
    (https://arxiv.org/abs/2203.02664) and of TSCD (https://arxiv.org/abs/2302.13765);
    RRM (https://arxiv.org/abs/1911.08039) and ASDT (https://arxiv.org/abs/2112.09459)
    add the two means instead, which is twice this loss.

    Args:
        logits: Logits (N, C, H, W), background in channel 0; computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        ignore_index: Label of pixels that are left out.

    Returns:
        Scalar; the mean over an empty set is 0 with zero gradient.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 4)
        >>> pseudo = torch.tensor([[[0, 0, 0, 1]]])
        >>> balanced_cross_entropy(logits, pseudo)  # log 2
        tensor(0.6931)
        >>> balanced_cross_entropy(logits, torch.zeros_like(pseudo))  # no foreground
        tensor(0.3466)
    """
    check_label_shape(logits, pseudo)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    background = pseudo == 0
    foreground = (pseudo != ignore_index) & ~background
    return mean_of_valid(values, torch.stack([background, foreground])).mean()


@MODELS.register_module()
class BalancedCrossEntropyLoss(DecodeLoss):
    """Module that computes :func:`balanced_cross_entropy`.

    Args:
        loss_weight: Weight of the loss.
        loss_name: Key of the loss in mmseg's decode heads.
    """

    function = staticmethod(balanced_cross_entropy)
