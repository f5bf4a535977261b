"""Parts shared by several losses."""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn


def check_label_shape(logits: Tensor, label: Tensor) -> None:
    """Raise ValueError unless logits are (N, C, H, W) and the label is (N, H, W)."""
    expected = (logits.shape[0], *logits.shape[2:])
    if logits.dim() != 4 or tuple(label.shape) != expected:
        raise ValueError(
            'expected logits (N, C, H, W) and a map (N, H, W) of the same size, got '
            f'{tuple(logits.shape)} and {tuple(label.shape)}'
        )


class DecodeLoss(nn.Module):
    """Base of losses that can be the ``loss_decode`` of mmseg's decode heads.

    A subclass sets ``function``, a function of logits, labels and ``ignore_index``.

    Args:
        loss_weight: Weight of the loss.
        loss_name: Key of the loss in mmseg's decode heads.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'loss_ce') -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name

    def forward(
        self,
        logits: Tensor,
        pseudo: Tensor,
        weight: None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the weighted loss, a scalar.

        Args:
            logits: Logits (N, C, H, W).
            pseudo: Label (N, H, W) int64.
            weight: Pixel weights of the sampler of mmseg's heads: must be None.
            ignore_index: Label of pixels that are left out; mmseg's heads pass theirs.

        Raises:
            ValueError: If there are pixel weights, or the shapes do not match.
        """
        if weight is not None:
            raise ValueError(
                f'{type(self).__name__} takes no pixel weights; leave out the sampler '
                "of the decode head, or take mmseg's CrossEntropyLoss"
            )
        return self.loss_weight * self.function(logits, pseudo, ignore_index)
