"""Classification loss of image tags."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32


def multilabel_soft_margin(logits: Tensor, tags: Tensor) -> Tensor:
    """Compute the binary cross entropy of all classes, averaged over the batch.

    ``-mean [y log s(v) + (1 - y) log(1 - s(v))]`` with the logistic function s: the
    classification loss L_cls of every weakly supervised method of this package. It
    equals :func:`torch.nn.functional.multilabel_soft_margin_loss`.

    Args:
        logits: Logits v of shape (N, K); computed in float32.
        tags: Image tags y of shape (N, K) in {0, 1}.

    Returns:
        Scalar, at least 0.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> multilabel_soft_margin(torch.zeros(1, 3), torch.tensor([[1, 0, 0]]))
        tensor(0.6931)
    """
    if logits.shape != tags.shape:
        raise ValueError(
            f'tags must have the shape of logits {tuple(logits.shape)}, got '
            f'{tuple(tags.shape)}'
        )
    logits = at_least_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, tags.to(logits.dtype))


@MODELS.register_module()
class MultiLabelSoftMarginLoss(nn.Module):
    """Module that computes :func:`multilabel_soft_margin`.

    Args:
        loss_weight: Weight of the loss.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, tags: Tensor) -> Tensor:
        """Return the weighted loss of logits (N, K) and tags (N, K) in {0, 1}."""
        return self.loss_weight * multilabel_soft_margin(logits, tags)
