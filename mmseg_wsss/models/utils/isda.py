from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .precision import at_least_float32

# Values converted to float64 at a time: few enough for the cache of a CPU; 128 MiB
# elsewhere, where every chunk costs launches.
_CACHED_VALUES, _VALUES = 2**17, 2**24


class ImplicitSemanticAugmentation(nn.Module):
    """Running feature variances of each class, and the logit offsets that they imply.

    If the features of class ``y`` are perturbed by N(0, ratio * variance_y), the
    expected cross entropy is at most the cross entropy of the logits plus ::

        offset[p, j] = ratio / 2 * sum_a variance[y_p, a] * (w[j, a] - w[y_p, a]) ** 2

    where ``w`` is the weight of the classifier. Source: Wang et al. (Implicit Semantic
    Data Augmentation for Deep Networks), https://arxiv.org/abs/1909.12220, with
    diagonal covariances. The statistics are pooled over all pixels of all ranks that
    :meth:`update` has received. They are kept in float64 and int64 whatever the type
    of the model, and are saved with it.

    Args:
        num_classes: Number of classes C.
        channels: Number of feature channels A.
        ignore_index: Label of pixels that are not counted and get the offset 0.
        max_count: Upper bound of the pixel count of a class, with which the weight of
            older pixels decays. None keeps all, as in MKD's released code.

    Attributes:
        mean: Mean features (C, A), float64.
        variance: Biased variances (C, A), float64.
        count: Number of pixels of each class (C,), int64.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(
        self,
        num_classes: int,
        channels: int,
        ignore_index: int = 255,
        max_count: int | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.channels = channels
        self.ignore_index = ignore_index
        self.max_count = max_count
        table = torch.zeros(num_classes, channels, dtype=torch.float64)
        self.register_buffer('mean', table)
        self.register_buffer('variance', table.clone())
        self.register_buffer('count', torch.zeros(num_classes, dtype=torch.int64))

    @torch.no_grad()
    def update(self, feat: Tensor, label: Tensor) -> None:
        """Update the statistics with the features of a batch.

        Every rank must call this, with any number of pixels. Pixels with a feature
        that is not finite (an overflow of mixed precision) are skipped.

        Args:
            feat: Features (P, A), without gradient.
            label: Classes (P,) int64 in [0, C), or ``ignore_index``.

        Raises:
            ValueError: If the shapes do not match.
            IndexError: If a label is out of range (on a GPU, a failed assertion).
        """
        center = self.center()
        sums = self.sums(feat, label, center)
        self.merge(sum_over_ranks(sums), center)

    @torch.no_grad()
    def center(self) -> Tensor:
        """Return the mean (A,) of all past pixels, zeros before the first update."""
        weight = self.count.double()[:, None] / self.count.sum().clamp(min=1)
        return (self.mean * weight).sum(0)

    @torch.no_grad()
    def sums(self, feat: Tensor, label: Tensor, center: Tensor) -> Tensor:
        """Compute the sums from which :meth:`merge` updates the statistics.

        Both together are :meth:`update`. Separately, the sums of several estimators or
        parts of a batch can be added up over the ranks in one collective.

        Args:
            feat: Features (P, A), see :meth:`update`.
            label: Classes (P,).
            center: Features (A,) to subtract, float64, see :meth:`center`: close to the
                mean of earlier pixels, a single pass loses nothing to cancellation.

        Returns:
            Sums (C, 1 + 2 A) over the pixels of each class, float64: their number, the
            centered features, and the squares of these.

        Raises:
            ValueError: If the shapes do not match.
            IndexError: If a label is out of range (on a GPU, a failed assertion).
        """
        if feat.shape != (len(label), self.channels) or label.dim() != 1:
            raise ValueError(
                f'expected features (P, {self.channels}) and labels (P,), got '
                f'{tuple(feat.shape)} and {tuple(label.shape)}'
            )
        valid, index = self._index(label)
        classes = torch.arange(self.num_classes, device=label.device)
        index = classes[index]  # fails for labels outside [0, C)
        values_at_a_time = _CACHED_VALUES if feat.device.type == 'cpu' else _VALUES
        chunk = max(1, values_at_a_time // self.channels)
        sums = self.mean.new_zeros(self.num_classes, 1 + 2 * self.channels)
        count, first, second = sums.split([1, self.channels, self.channels], 1)
        with torch.autocast(feat.device.type, enabled=False):
            for start in range(0, len(label), chunk):
                part = slice(start, start + chunk)
                values = feat[part].double() - center
                counted = valid[part] & values.isfinite().all(1)
                values.masked_fill_(~counted[:, None], 0)
                members = ((classes[:, None] == index[part]) & counted).double()
                count += members.sum(1, keepdim=True)
                first.addmm_(members, values)
                second.addmm_(members, values.square_())
        return sums

    @torch.no_grad()
    def merge(self, sums: Tensor, center: Tensor) -> None:
        """Update the statistics with sums (C, 1 + 2 A) of all ranks.

        Args:
            sums: See :meth:`sums`.
            center: Features (A,) that were subtracted.
        """
        count = sums[:, :1]
        first, second = (sums[:, 1:] / count.clamp(min=1)).chunk(2, 1)
        variance = (second - first.square()).clamp_(min=0)
        ratio = count / (count + self.count[:, None]).clamp(min=1)
        gap = center + first - self.mean
        self.variance += ratio * (variance - self.variance)
        self.variance += ratio * (1 - ratio) * gap.square()
        self.mean += ratio * gap
        self.count += count[:, 0].long()
        if self.max_count is not None:
            self.count.clamp_(max=self.max_count)

    @torch.no_grad()
    def shift(self, weight: Tensor, label: Tensor, ratio: float | Tensor) -> Tensor:
        """Compute the offsets of the logits.

        They depend on the label alone and are looked up in a C x C table.

        Args:
            weight: Weight (C, A) of the linear classifier, without gradient.
            label: Classes (P,) int64 in [0, C), or ``ignore_index``.
            ratio: Strength of the augmentation, at least 0.

        Returns:
            Offsets (P, C) >= 0 in float32 (float64 for a weight in float64): 0 at the
            pixel's own class, where the label is ignored, and before any update.

        Raises:
            ValueError: If ``weight`` has another shape.
            IndexError: If a label is out of range (on a GPU, a failed assertion).
        """
        if weight.shape != self.mean.shape:
            raise ValueError(
                f'expected a weight of shape {tuple(self.mean.shape)}, got '
                f'{tuple(weight.shape)}'
            )
        dtype = at_least_float32(weight).dtype
        with torch.autocast(weight.device.type, enabled=False):
            weight = weight.double()
            scaled = self.variance * weight
            table = self.variance @ weight.square().T - 2 * scaled @ weight.T
            table += (scaled * weight).sum(1, keepdim=True)
            table.clamp_(min=0).fill_diagonal_(0)  # rounding errors
            table = (0.5 * ratio * table).to(dtype)
        valid, index = self._index(label)
        return table[index].masked_fill_(~valid[:, None], 0)

    def _index(self, label: Tensor) -> tuple[Tensor, Tensor]:
        valid = label != self.ignore_index
        # Beyond the end of the table: -1 would otherwise select the last class.
        index = label.masked_fill(label < 0, self.num_classes)
        return valid, index.where(valid, 0)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'ImplicitSemanticAugmentation':
        """Move the statistics with the model, but keep their types."""
        kept = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            moved = getattr(self, name)
            if moved.dtype != buffer.dtype:
                setattr(self, name, buffer.to(moved.device))
        return self


def sum_over_ranks(values: Tensor) -> Tensor:
    """Sum a tensor over all ranks, in place.

    Args:
        values: Tensor of any shape; the same shape on every rank.

    Returns:
        ``values``, unchanged if there is no process group.
    """
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values
