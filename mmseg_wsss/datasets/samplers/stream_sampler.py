from collections.abc import Sequence

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
    """Base class of samplers that yield an endless stream of draws, without epochs.

    The draws of a source are counted over all ranks. Training that is resumed on
    another number of ranks, or with another batch size, continues with the next draw.

    Args:
        shuffle: Whether the order of each pass is random.
        seed: Seed; None draws one and synchronizes it between the ranks.
        counts: Number of draws of each source in a batch of one rank.
    """

    def __init__(self, shuffle: bool, seed: int | None, counts: Sequence[int]) -> None:
        self.rank, self.world_size = get_dist_info()
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.counts = list(counts)
        self.start = 0
        self._origin = 0, [0] * len(self.counts)

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

    def draws_after(self, num_samples: int) -> list[int]:
        """Count the draws of each source by all ranks together.

        Args:
            num_samples: Number of draws of each rank, whole batches.

        Returns:
            Number of draws of each source since the start of the training.
        """
        since, draws = self._since(num_samples)
        batches = since // sum(self.counts) * self.world_size
        return [drawn + batches * count for drawn, count in zip(draws, self.counts)]

    def resume(self, draws: Sequence[int], num_samples: int) -> None:
        """Continue after the draws of a training run, whatever its number of ranks.

        Args:
            draws: Number of draws of each source, from :meth:`draws_after`.
            num_samples: Argument of :meth:`skip` that corresponds to these draws.

        Raises:
            ValueError: If ``draws`` has another number of sources.
        """
        if len(draws) != len(self.counts):
            raise ValueError(
                f'the checkpoint was saved with {len(draws)} sources of images, the '
                f'dataset has {len(self.counts)}; resume with the same sources, or '
                'start anew with load_from'
            )
        self._origin = num_samples, list(draws)

    def _since(self, num_samples: int) -> tuple[int, list[int]]:
        """Return the draws of this rank since the last resume, and all before it."""
        at, draws = self._origin
        if num_samples < at:  # replayed by a runner that cannot skip, and dropped
            return num_samples, [0] * len(draws)
        return num_samples - at, draws

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream has no epochs."""
