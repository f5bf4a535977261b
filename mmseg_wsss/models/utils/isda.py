from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Pixels that are turned into float64 at a time: they stay in the cache.
_CHUNK = 512


class ImplicitSemanticAugmentation(nn.Module):
    """Running variance of every class's features, and the offset of logits from it.

    ISDA (Wang et al., NeurIPS 2019) with diagonal covariances: were the features of
    class ``y`` perturbed by N(0, ratio * variance_y), the expected cross entropy would
    be bounded by that of the logits plus ::

        offset[p, j] = ratio / 2 * sum_a variance[y_p, a] * (w[j, a] - w[y_p, a]) ** 2

    (mkd.md, section 7). The statistics are the pooled ones of all pixels of all ranks
    that :meth:`update` was ever given, kept in float64 and int64 whatever type the
    model is turned into, and saved with the model.

    Args:
        num_classes: Number of classes C.
        channels: Number of feature channels A.
        ignore_index: Label of pixels that are neither counted nor given an offset.
        max_count: Pixels of the past that a class remembers at most; older ones fade.
            None, as released, never forgets.

    Attributes:
        mean: Mean features (C, A), float64.
        variance: Biased variances (C, A), float64.
        count: Pixels seen of each class (C,), int64.
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
        """Take the features of a batch into the statistics.

        Every rank must call this, with any number of pixels. Pixels with a feature
        that is not finite (an overflow of mixed precision) are skipped.

        Args:
            feat: Features (P, A); no gradient flows.
            label: Classes (P,) int64 in [0, C), or ``ignore_index``.

        Raises:
            ValueError: If the shapes do not fit.
            IndexError: If there is another label (on a GPU, a failed assertion).
        """
        if feat.shape != (len(label), self.channels) or label.dim() != 1:
            raise ValueError(
                f'expected features (P, {self.channels}) and labels (P,), got '
                f'{tuple(feat.shape)} and {tuple(label.shape)}'
            )
        with torch.autocast(feat.device.type, enabled=False):
            count, mean, variance = self._batch_statistics(feat, label)
        share = (count.double() / (count + self.count).clamp(min=1))[:, None]
        gap = mean - self.mean
        self.variance += share * (variance - self.variance)
        self.variance += share * (1 - share) * gap.square()
        self.mean += share * gap
        self.count += count
        if self.max_count is not None:
            self.count.clamp_(max=self.max_count)

    @torch.no_grad()
    def shift(self, weight: Tensor, label: Tensor, ratio: float) -> Tensor:
        """Offset of the logits of every pixel.

        It depends on the label alone, so it is looked up in a table of C x C.

        Args:
            weight: Weight (C, A) of the linear classifier; no gradient flows.
            label: Classes (P,) int64 in [0, C), or ``ignore_index``.
            ratio: Strength of the augmentation, at least 0.

        Returns:
            Offsets (P, C) >= 0 in float32 (float64 for a weight in float64): 0 at the
            pixel's own class, where the label is ignored, and before any update.

        Raises:
            ValueError: If the shape of ``weight`` does not fit.
            IndexError: If there is another label (on a GPU, a failed assertion).
        """
        if weight.shape != self.mean.shape:
            raise ValueError(
                f'expected a weight of shape {tuple(self.mean.shape)}, got '
                f'{tuple(weight.shape)}'
            )
        dtype = torch.promote_types(weight.dtype, torch.float32)
        with torch.autocast(weight.device.type, enabled=False):
            weight = weight.double()
            scaled = self.variance * weight
            table = self.variance @ weight.square().T - 2 * scaled @ weight.T
            table += (scaled * weight).sum(1, keepdim=True)
            table.clamp_(min=0).fill_diagonal_(0)  # what rounding leaves
            table = (0.5 * ratio * table).to(dtype)
        valid, index = self._index(label)
        return table[index].masked_fill_(~valid[:, None], 0)

    def _batch_statistics(
        self, feat: Tensor, label: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Count (C,), mean and biased variance (C, A) over all ranks, in float64."""
        valid, index = self._index(label)
        classes = torch.arange(self.num_classes, device=label.device)
        index = classes[index]  # fails for labels outside [0, C)
        # Near a mean of the past, one pass in float64 loses nothing to cancellation.
        weight = self.count.double()[:, None] / self.count.sum().clamp(min=1)
        center = (self.mean * weight).sum(0)
        count = torch.zeros_like(self.count)
        sums = self.mean.new_zeros(2, *self.mean.shape)
        for start in range(0, len(label), _CHUNK):
            part = slice(start, start + _CHUNK)
            values = feat[part].double() - center
            sure = valid[part] & values.isfinite().all(1)
            values.masked_fill_(~sure[:, None], 0)
            members = (classes[:, None] == index[part]) & sure
            count += members.sum(1)
            sums[0].addmm_(members.double(), values)
            sums[1].addmm_(members.double(), values.square_())
        _summed(count)
        first, second = _summed(sums) / count.clamp(min=1)[:, None]
        return count, center + first, (second - first.square()).clamp_(min=0)

    def _index(self, label: Tensor) -> tuple[Tensor, Tensor]:
        valid = label != self.ignore_index
        # No index of a table: without this, -1 would mean the last class.
        index = label.masked_fill(label < 0, self.num_classes)
        return valid, index.where(valid, 0)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'ImplicitSemanticAugmentation':
        """Follow the model to its device, but keep the types of the statistics."""
        kept = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)
        for name, buffer in kept.items():
            moved = getattr(self, name)
            if moved.dtype != buffer.dtype:
                setattr(self, name, buffer.to(moved.device))
        return self


def _summed(values: Tensor) -> Tensor:
    """Sum over the ranks, in place."""
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values)
    return values
