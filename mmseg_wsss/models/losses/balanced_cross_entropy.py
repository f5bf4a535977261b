import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32
from .utils import check_label_shape, mean_of_valid


def balanced_cross_entropy(
    logits: Tensor, pseudo: Tensor, ignore_index: int = 255
) -> Tensor:
    """Cross entropy in which background and foreground weigh the same.

    ``0.5 CE(background) + 0.5 CE(foreground)``, each a mean over its own pixels of the
    batch and of all ranks (tscd.md, section 8; asdt.md, section 6.2, has the sum of
    both, which is twice this).

    Args:
        logits: Logits (N, C, H, W), background in channel 0; computed in float32.
        pseudo: Label (N, H, W) int64 in [0, C), or ``ignore_index``.
        ignore_index: Label that is neither counted nor trained on.

    Returns:
        Scalar; the term of an empty set is 0 with zero gradient.

    Raises:
        ValueError: If the shapes do not fit.
    """
    check_label_shape(logits, pseudo)
    values = F.cross_entropy(
        at_least_float32(logits), pseudo, ignore_index=ignore_index, reduction='none'
    )
    background = pseudo == 0
    foreground = (pseudo != ignore_index) & ~background
    return mean_of_valid(values, torch.stack([background, foreground])).mean()


@MODELS.register_module()
class BalancedCrossEntropyLoss(nn.Module):
    """Module of :func:`balanced_cross_entropy`.

    It can stand as ``loss_decode`` of mmseg's decode heads.

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
                'BalancedCrossEntropyLoss balances pixels itself and takes no pixel '
                'weights; leave out the sampler of the decode head'
            )
        if ignore_index is None:
            ignore_index = self.ignore_index
        return self.loss_weight * balanced_cross_entropy(logits, pseudo, ignore_index)
