from collections.abc import Iterator, Sized

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmseg_wsss.registry import DATA_SAMPLERS

from ..sample_key import SampleKey


def permutation(size: int, *key: int) -> list[int]:
    """Return a random order of ``range(size)`` that depends only on ``key``."""
    generator = torch.Generator()
    generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
    return torch.randperm(size, generator=generator).tolist()


@DATA_SAMPLERS.register_module()
class EndlessSampler(Sampler):
    """Infinite sampler with draws that are functions of (seed, number of the draw).

    Draw ``n`` of the whole training belongs to pass ``n // len(dataset)``; each pass
    has its own order. Rank ``r`` of ``w`` takes the draws ``r, r + w, r + 2w, ...``, so
    that ``w`` ranks with batch size ``b`` together get the same images as one rank with
    batch size ``w * b``. Yields :class:`SampleKey`, from which the datasets of the
    package seed their augmentation.

    Args:
        dataset: Dataset with at least one image.
        shuffle: Whether the order of each pass is random.
        seed: Seed; None draws one and synchronizes it between the ranks.

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
        current_pass, order = -1, list(range(self.size))
        while True:
            pass_number, position = divmod(number, self.size)
            if self.shuffle and pass_number != current_pass:
                current_pass = pass_number
                order = permutation(self.size, self.seed, pass_number)
            yield SampleKey(order[position], self.seed, number)
            number += self.world_size

    def skip(self, num_samples: int) -> None:
        """Start after ``num_samples`` draws of this rank, in constant time.

        Args:
            num_samples: Number of draws that this rank has consumed since the start of
                the training, as in MMEngine's ``InfiniteSampler.skip``.

        Raises:
            ValueError: If it is negative.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples must not be negative, got {num_samples}')
        self.start = num_samples

    def __len__(self) -> int:
        """Return the number of images of a pass."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream has no epochs."""
