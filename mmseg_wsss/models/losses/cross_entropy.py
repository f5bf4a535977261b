"""Cross entropies that are defined where no pixel has a label."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32
from .utils import check_label_shape, mean_of_valid


def valid_cross_entropy(
    logits: Tensor, pseudo: Tensor, ignore_index: int = 255
) -> Tensor:
    """Cross entropy, averaged over the labeled pixels of the batch and of all ranks.

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        ignore_index: Label that is neither counted nor trained on.

    Returns:
        Scalar; 0 with zero gradient where every pixel is ignored.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_label_shape(logits, pseudo)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    return mean_of_valid(values, pseudo != ignore_index)


def soft_cross_entropy(
    logits: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Cross entropy against probabilities, averaged over the valid pixels.

    ``-sum_c target_c log softmax(logits)_c``; the mean is over the batch and all ranks.

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        target: Probabilities (N, C, H, W), which get no gradient.
        valid: Pixels (N, H, W) bool that count; all by default.

    Returns:
        Scalar; 0 with zero gradient where no pixel is valid.

    Raises:
        ValueError: If the shapes do not fit.
    """
    if logits.shape != target.shape:
        raise ValueError(
            f'target must have the shape of logits {tuple(logits.shape)}, got '
            f'{tuple(target.shape)}'
        )
    values = -(target.detach() * at_least_float32(logits).log_softmax(1)).sum(1)
    if valid is None:
        return values.mean()
    check_label_shape(logits, valid)
    return mean_of_valid(values, valid)


def confident_cross_entropy(
    logits: Tensor,
    pseudo: Tensor,
    conf: Tensor,
    conf_thr: float,
    ignore_index: int = 255,
) -> tuple[Tensor, Tensor]:
    """Cross entropy on confident pseudo-labels, averaged over all that are valid.

    The mean counts every valid pixel of the batch and of all ranks, not only the
    confident ones, so the loss grows as the teacher becomes certain (UniMatch, Eq. 3).

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        conf: Confidence (N, H, W) of the label, in [0, 1].
        conf_thr: Pixels with a lower confidence give no gradient.
        ignore_index: Label that is neither counted nor trained on.

    Returns:
        Scalar loss, and scalar share of confident pixels among the valid ones of this
        rank; both 0, with zero gradient, where every pixel is ignored.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_label_shape(logits, pseudo)
    check_label_shape(logits, conf)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    valid = pseudo != ignore_index
    sure = conf >= conf_thr
    share = (sure & valid).sum() / valid.sum().clamp(min=1)
    return mean_of_valid(torch.where(sure, values, 0.0), valid), share


@MODELS.register_module()
class ValidCrossEntropyLoss(nn.Module):
    """Module of :func:`valid_cross_entropy`.

    For data without a background class, where nothing is to be balanced, and as
    ``loss_decode`` of mmseg's decode heads: the mean does not count ignored pixels.

    Args:
        loss_weight: Factor of the loss.
        ignore_index: Label that is neither counted nor trained on.
        loss_name: Key of the loss in mmseg's decode heads.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        ignore_index: int = 255,
        loss_name: str = 'loss_ce',
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.loss_name = loss_name

    def forward(
        self,
        logits: Tensor,
        pseudo: Tensor,
        weight: None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Scalar loss of logits (N, C, H, W) and label (N, H, W).

        Args:
            logits: Logits (N, C, H, W).
            pseudo: Label (N, H, W) int64.
            weight: What mmseg's heads pass from their pixel sampler: must be None.
            ignore_index: Overrides the module's own.
        """
        if weight is not None:
            raise ValueError(
                'ValidCrossEntropyLoss takes no pixel weights; leave out the sampler '
                "of the decode head, or take mmseg's CrossEntropyLoss"
            )
        if ignore_index is None:
            ignore_index = self.ignore_index
        return self.loss_weight * valid_cross_entropy(logits, pseudo, ignore_index)
