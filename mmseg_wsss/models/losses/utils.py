"""Means over the valid pixels of all ranks, and parts that several losses share."""

from collections.abc import Callable
from typing import ClassVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Below any mean count that is not 0, for up to 65536 ranks.
MIN_COUNT = 2.0**-16


@torch.no_grad()
def mean_over_ranks(count: Tensor) -> Tensor:
    """Average a count over the ranks.

    DDP averages gradients over the ranks. With ``local_sum / mean_over_ranks(count)``
    as the loss of each rank, this average is the mean over the items of all ranks,
    however unevenly they are spread; a mean per rank would weigh the items of a rank
    with few labeled pixels more.

    Args:
        count: Count of this rank, of any shape; every rank calls with the same shape.

    Returns:
        Average of the shape of ``count``, floating. Without other ranks, ``count``.

    Example:
        >>> mean_over_ranks(torch.tensor(3))
        tensor(3.)
    """
    mean = count if count.is_floating_point() else count.float()
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        mean = mean.clone()
        dist.all_reduce(mean)
        mean = mean / dist.get_world_size()
    return mean


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Average values over the valid items of all ranks.

    Args:
        values: Values of any shape.
        valid: Mask of the shape of ``values``, bool; or (G, ...) for G groups, each
            with a mean.

    Returns:
        Scalar, or shape (G,). Its average over the ranks is the mean; exactly 0, with
        zero gradient, if no rank has a valid item.

    Example:
        >>> values = torch.tensor([1.0, 2.0, torch.nan])
        >>> mean_of_valid(values, torch.tensor([True, True, False]))
        tensor(1.5000)
        >>> mean_of_valid(values, torch.zeros(3, dtype=torch.bool))
        tensor(0.)
    """
    groups = valid.flatten(valid.dim() - values.dim())
    # `where`, not a product: 0 * nan would be nan in value and gradient.
    total = torch.where(groups, values.flatten(), 0.0).sum(-1)
    count = groups.sum(-1).to(total.dtype)
    return total / mean_over_ranks(count).clamp(min=MIN_COUNT)


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

    A subclass names its function of logits, labels and ``ignore_index``.

    Args:
        loss_weight: Factor of the loss.
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
            ValueError: If there are pixel weights, or the shapes do not fit.
        """
        if weight is not None:
            raise ValueError(
                f'{type(self).__name__} takes no pixel weights; leave out the sampler '
                "of the decode head, or take mmseg's CrossEntropyLoss"
            )
        return self.loss_weight * self.function(logits, pseudo, ignore_index)
