"""Cross entropy against soft labels."""

from torch import Tensor

from ..utils import at_least_float32
from .rank_means import mean_of_valid
from .utils import check_label_shape


def soft_cross_entropy(
    logits: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """Compute the cross entropy against probabilities, averaged over valid pixels.

    ``-sum_c target_c log softmax(logits)_c``; the mean is over the batch and all ranks.

    Args:
        logits: Logits (N, C, H, W); computed in float32.
        target: Probabilities (N, C, H, W); they receive no gradient.
        valid: Mask (N, H, W) bool of the pixels to average over; all by default.

    Returns:
        Scalar; 0 with zero gradient if no pixel is valid.

    Raises:
        ValueError: If the shapes do not match.

    Example:
        >>> logits = torch.zeros(1, 2, 1, 1)
        >>> target = torch.tensor([0.3, 0.7]).view(1, 2, 1, 1)
        >>> soft_cross_entropy(logits, target)  # log 2
        tensor(0.6931)
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
