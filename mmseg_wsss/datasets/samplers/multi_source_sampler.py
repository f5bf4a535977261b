from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmseg_wsss.registry import DATA_SAMPLERS

from ..sample_key import SampleKey
from .endless_sampler import permutation


@DATA_SAMPLERS.register_module()
class MultiSourceSampler(Sampler):
    """Infinite sampler with a fixed number of images of each source in every batch.

    Each source is passed through on its own, each pass in an order of its own. In a
    batch the images of the first source come first. Draw ``n`` of a source is a
    function of (seed, source, n) alone; ranks share the draws of an iteration, so that
    ``w`` ranks with batch ``b`` see together what one rank with batch ``w * b`` sees,
    with the same counts. It yields :class:`SampleKey`, from which datasets seed their
    augmentation. Source: mkd.md, sections 9.2 and 12 (mmdetection's sampler of this
    name, without its defects).

    Args:
        dataset: Dataset with ``cumulative_sizes``: ``SemiDataset``, or
            MMEngine's ``ConcatDataset``, whose augmentation however is not seeded.
        batch_size: Images of a batch of one rank: that of the data loader.
        source_ratio: Ratio of the sources in a batch; the first takes the remainder.
        shuffle: Whether each pass has a random order.
        seed: Seed; drawn and agreed on between the ranks if None.

    Raises:
        ValueError: If the dataset has no sources or an empty one, there is not one
            ratio above 0 a source, or a source would get no image of a batch.
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
            raise ValueError(f'every source needs images, their sizes: {self.sizes}')
        self.batch_size = batch_size
        self.counts = self._split_batch(source_ratio)
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0

    def _split_batch(self, ratio: Sequence[float]) -> list[int]:
        """Number of images of each source in a batch of one rank."""
        if len(ratio) != len(self.sizes) or min(ratio) <= 0:
            raise ValueError(
                f'source_ratio must be {len(self.sizes)} numbers above 0, one a source,'
                f' got {ratio}'
            )
        # What is whole but for rounding is whole: 10 * 0.3 / (0.7 + 0.3).
        counts = [
            int(self.batch_size * share / sum(ratio) + 1e-9) for share in ratio[1:]
        ]
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
        laps = [-1] * len(self.sizes)
        orders = [list(range(size)) for size in self.sizes]
        taken = self.start
        while True:
            iteration, place = divmod(taken, self.batch_size)
            source = bisect_right(ends, place)
            begin, count = ends[source] - self.counts[source], self.counts[source]
            # Place in the part of this source in the batch of all ranks.
            shared = (place - begin) * self.world_size + self.rank
            lap, position = divmod(
                iteration * count * self.world_size + shared, self.sizes[source]
            )
            if self.shuffle and lap != laps[source]:
                orders[source] = permutation(self.sizes[source], self.seed, source, lap)
                laps[source] = lap
            number = (iteration * self.batch_size + begin) * self.world_size + shared
            index = self.starts[source] + orders[source][position]
            yield SampleKey(index, self.seed, number)
            taken += 1

    def skip(self, num_samples: int) -> None:
        """Start after ``num_samples`` draws of this rank, in constant time.

        Args:
            num_samples: Absolute count of draws that this rank has consumed; the
                contract of MMEngine's ``InfiniteSampler.skip``.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples must not be negative, got {num_samples}')
        self.start = num_samples

    def __len__(self) -> int:
        """Number of images of all sources."""
        return sum(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: the stream has no epochs."""
