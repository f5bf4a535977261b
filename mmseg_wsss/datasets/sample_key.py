"""Randomness of the data, derived from the seed and the number of the draw.

A sampler yields :class:`SampleKey` instead of plain indices, and the dataset seeds its
augmentation from it. A sample then depends neither on the number of workers nor on
earlier draws, and a resumed run gets the same samples as an uninterrupted one.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class SampleKey(int):
    """Index of an image, with the seed and the position of its draw.

    Args:
        index: Index into the dataset.
        seed: Seed of the sampler.
        number: 0-based number of the draw, counted over all ranks.

    Examples:
        >>> key = SampleKey(3, seed=0, number=7)
        >>> 'abcd'[key], key.number
        ('d', 7)
    """

    seed: int
    number: int

    def __new__(cls, index: int, seed: int, number: int) -> 'SampleKey':
        key = super().__new__(cls, index)
        key.seed = seed
        key.number = number
        return key

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleKey, (int(self), self.seed, self.number)


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed ``random``, NumPy and torch (CPU) from ``key``; restore them afterwards.

    Args:
        *key: Non-negative integers, e.g. seed and number of the draw.
    """
    states = random_states()
    seed_all(*key)
    try:
        yield
    finally:
        restore_states(states)


def random_states() -> tuple[Any, ...]:
    """Return the states of ``random``, NumPy and torch (CPU)."""
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def restore_states(states: tuple[Any, ...]) -> None:
    """Set the states that :func:`random_states` returned."""
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])


def seed_all(*key: int) -> None:
    """Seed ``random``, NumPy and torch (all devices) from non-negative integers."""
    words = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]))
