import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler


def permutation(size: int, *key: int) -> list[int]:
    """Return a random order of ``range(size)`` that depends only on ``key``."""
    generator = torch.Generator()
    generator.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
    return torch.randperm(size, generator=generator).tolist()


class StreamSampler(Sampler):
    """Base of samplers that yield an endless stream of draws, without epochs.

    Args:
        shuffle: Whether the order of each pass is random.
        seed: Seed; None draws one and synchronizes it between the ranks.
    """

    def __init__(self, shuffle: bool, seed: int | None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0

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

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream has no epochs."""
