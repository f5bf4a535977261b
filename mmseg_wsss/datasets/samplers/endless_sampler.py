from collections.abc import Iterator, Sized

from mmseg_wsss.registry import DATA_SAMPLERS

from ..sample_key import SampleKey
from .stream_sampler import StreamSampler, permutation


@DATA_SAMPLERS.register_module()
class EndlessSampler(StreamSampler):
    """Infinite sampler; each draw is a function of the seed and its number.

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
        super().__init__(shuffle, seed, [1])
        self.size = len(dataset)

    def __iter__(self) -> Iterator[SampleKey]:
        taken = self.start
        current_pass, order = -1, list(range(self.size))
        while True:
            since, (drawn,) = self._since(taken)
            number = drawn + since * self.world_size + self.rank
            pass_number, position = divmod(number, self.size)
            if self.shuffle and pass_number != current_pass:
                current_pass = pass_number
                order = permutation(self.size, self.seed, pass_number)
            yield SampleKey(order[position], self.seed, number)
            taken += 1

    def __len__(self) -> int:
        """Return the number of images of a pass."""
        return self.size
