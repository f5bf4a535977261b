from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from mmseg_wsss.registry import DATA_SAMPLERS

from ..sample_key import SampleKey
from .stream_sampler import StreamSampler, permutation


@DATA_SAMPLERS.register_module()
class MultiSourceSampler(StreamSampler):
    """Infinite sampler with a fixed number of images of each source per batch.

    Each source has its own passes, and each pass its own order. In a batch the images
    of the first source come first. Draw ``n`` of a source is a function of (seed,
    source, n). The ranks share the draws of an iteration, so that ``w`` ranks with
    batch size ``b`` together get the same images as one rank with batch size ``w * b``.
    Yields :class:`SampleKey`, from which datasets seed their augmentation. Unlike
    mmdetection's sampler of this name, it uses different orders for sources of equal
    size, and raises an error if a source has no image in a batch.

    Args:
        dataset: Dataset with ``cumulative_sizes``: ``SemiDataset``, or MMEngine's
            ``ConcatDataset``, which does not seed its augmentation, however.
        batch_size: Batch size of one rank, as in the data loader.
        source_ratio: Ratio of the sources in a batch; numbers of images are rounded
            down, and the first source gets the remainder.
        shuffle: Whether the order of each pass is random.
        seed: Seed; None draws one and synchronizes it between the ranks.

    Raises:
        ValueError: If the dataset has no sources or an empty one, ``source_ratio`` is
            not one number above 0 per source, or a source has no image in a batch.

    Examples:
        Three labeled images (0 to 2), four unlabeled ones, and one image of each per
        batch:

        >>> class Dataset:
        ...     cumulative_sizes = [3, 7]
        >>> sampler = MultiSourceSampler(Dataset(), 2, shuffle=False, seed=0)
        >>> stream = iter(sampler)
        >>> [int(next(stream)) for _ in range(8)]
        [0, 3, 1, 4, 2, 5, 0, 6]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        source_ratio: Sequence[float] = (1, 1),
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        ends = list(getattr(dataset, 'cumulative_sizes', ()))
        if not ends:
            raise ValueError(
                'MultiSourceSampler needs a dataset with cumulative_sizes, such as '
                f'SemiDataset, got {type(dataset).__name__}'
            )
        self.starts = [0, *ends[:-1]]
        self.sizes = [end - start for start, end in zip(self.starts, ends)]
        if min(self.sizes) < 1:
            raise ValueError(f'every source needs images, got the sizes {self.sizes}')
        self.batch_size = batch_size
        super().__init__(shuffle, seed, self._split_batch(source_ratio))

    def _split_batch(self, ratio: Sequence[float]) -> list[int]:
        """Return the number of images of each source in a batch of one rank."""
        if len(ratio) != len(self.sizes) or min(ratio) <= 0:
            raise ValueError(
                f'source_ratio must be {len(self.sizes)} numbers above 0, one per '
                f'source, got {ratio}'
            )
        # The small number corrects rounding errors such as 10 * 0.3 / (0.7 + 0.3).
        counts = [int(self.batch_size * part / sum(ratio) + 1e-9) for part in ratio[1:]]
        counts.insert(0, self.batch_size - sum(counts))
        if min(counts) < 1:
            raise ValueError(
                f'source_ratio {ratio} gives source {counts.index(min(counts))} no '
                f'image of a batch of {self.batch_size}; raise batch_size or change '
                'the ratio'
            )
        return counts

    def __iter__(self) -> Iterator[SampleKey]:
        ends = list(accumulate(self.counts))
        passes = [-1] * len(self.sizes)
        orders = [list(range(size)) for size in self.sizes]
        taken = self.start
        while True:
            since, drawn = self._since(taken)
            iteration, place = divmod(since, self.batch_size)
            source = bisect_right(ends, place)
            begin, count = ends[source] - self.counts[source], self.counts[source]
            # Position among the images of this source in the batch of all ranks.
            offset = (place - begin) * self.world_size + self.rank
            size = self.sizes[source]
            pass_number, position = divmod(
                drawn[source] + iteration * count * self.world_size + offset, size
            )
            if self.shuffle and pass_number != passes[source]:
                orders[source] = permutation(size, self.seed, source, pass_number)
                passes[source] = pass_number
            before = (iteration * self.batch_size + begin) * self.world_size
            number = sum(drawn) + before + offset
            index = self.starts[source] + orders[source][position]
            yield SampleKey(index, self.seed, number)
            taken += 1

    def __len__(self) -> int:
        """Return the number of images of all sources."""
        return sum(self.sizes)
