from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmseg_wsss.registry import DATA_SAMPLERS

from ..sample_key import SampleKey


def permutation(size: int, *key: int) -> list[int]:
    """Random order of ``range(size)`` that depends on nothing but ``key``."""
    generator = torch.Generator()
    generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
    return torch.randperm(size, generator=generator).tolist()


@DATA_SAMPLERS.register_module()
class EndlessSampler(Sampler):
    """Infinite sampler whose every draw is a function of (seed, number of the draw).

    Draw ``n`` of the whole training lies in pass ``n // len(dataset)``, each pass in an
    order of its own. Rank ``r`` of ``w`` takes the draws ``r, r + w, r + 2w, ...``, so
    that ``w`` ranks with batch ``b`` see together what one rank with batch ``w * b``
    sees. It yields :class:`SampleKey`, from which our datasets seed their augmentation.

    Args:
        dataset: Dataset with at least one image.
        shuffle: Whether each pass has a random order.
        seed: Seed; drawn and agreed on between the ranks if None.

    Raises:
        ValueError: If the dataset is empty.
    """

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: int | None = None
    ) -> None:
        if len(dataset) == 0:
            raise ValueError('EndlessSampler needs a dataset with images, got none')
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0

    def __iter__(self) -> Iterator[SampleKey]:
        number = self.rank + self.start * self.world_size
        current, order = -1, list(range(self.size))
        while True:
            lap, position = divmod(number, self.size)
            if self.shuffle and lap != current:
                current, order = lap, permutation(self.size, self.seed, lap)
            yield SampleKey(order[position], self.seed, number)
            number += self.world_size

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
        """Number of images of a pass."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: the stream has no epochs."""
