import torch
import torch.distributed as dist
from torch import Tensor

# Below any mean count that is not 0, for up to 65536 ranks.
MIN_COUNT = 2.0**-16


@torch.no_grad()
def mean_over_ranks(count: Tensor) -> Tensor:
    """Average of a count over the ranks.

    With it, ``local_sum / mean_over_ranks(local_count)`` has as its average over the
    ranks, which is what DDP makes of its gradients, the mean over the items of all
    ranks, however unevenly they are spread.

    Args:
        count: Count of this rank, of any shape; every rank calls with the same shape.

    Returns:
        The average, of the type of ``count`` if that is a floating one; ``count``
        itself, as float32 at least, without other ranks.
    """
    mean = count if count.is_floating_point() else count.float()
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        mean = mean.clone()
        dist.all_reduce(mean)
        mean = mean / dist.get_world_size()
    return mean


def mean_of_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over the valid items of all ranks.

    Args:
        values: Values of any shape.
        valid: Which of them count, bool of the same shape, or (G, *shape) for G groups
            with a mean each.

    Returns:
        Scalar, or shape (G,). Its average over the ranks is the mean; exactly 0, with
        zero gradient, where no rank has a valid item.
    """
    groups = valid.flatten(valid.dim() - values.dim())
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
