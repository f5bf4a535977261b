"""SampleKey, seeding from it, and EndlessSampler."""

import pickle
import random

import numpy as np
import pytest
import torch

from mmseg_wsss.datasets.sample_key import SampleKey, seeded
from mmseg_wsss.datasets.samplers import EndlessSampler


def take(sampler: EndlessSampler, count: int) -> list[SampleKey]:
    stream = iter(sampler)
    return [next(stream) for _ in range(count)]


def numbers() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), float(torch.rand(()))


def test_sample_key_is_an_index_and_can_be_pickled():
    draw = pickle.loads(pickle.dumps(SampleKey(3, seed=7, number=11)))
    assert draw == 3
    assert ['a', 'b', 'c', 'd'][draw] == 'd'
    assert (draw.seed, draw.number) == (7, 11)


def test_seeded_repeats_and_restores_the_generators():
    torch.manual_seed(5)
    with seeded(1, 2):
        first = numbers()
    after = float(torch.rand(()))
    torch.manual_seed(5)
    assert float(torch.rand(())) == after
    with seeded(1, 2):
        assert numbers() == first
    with seeded(1, 3):
        other = numbers()
    assert all(a != b for a, b in zip(first, other))


def test_each_pass_has_every_image_once_in_a_new_order():
    draws = take(EndlessSampler(range(10), seed=3), 30)
    passes = [draws[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(one) == list(range(10)) for one in passes)
    assert passes[0] != passes[1] != passes[2]
    assert [draw.number for draw in draws] == list(range(30))


def test_skip_continues_the_stream():
    whole = take(EndlessSampler(range(7), seed=3), 40)
    rest = EndlessSampler(range(7), seed=3)
    rest.skip(25)
    found = take(rest, 15)
    assert found == whole[25:]
    assert [d.number for d in found] == [d.number for d in whole[25:]]


def test_ranks_share_the_stream_of_one_process():
    whole = take(EndlessSampler(range(7), seed=3), 40)
    for rank in range(2):
        sampler = EndlessSampler(range(7), seed=3)
        sampler.rank, sampler.world_size = rank, 2
        assert take(sampler, 20) == whole[rank::2]


def test_resuming_on_other_ranks_goes_on():
    """Ten draws of one rank, twelve of two, nine of one."""
    whole = take(EndlessSampler(range(7), seed=3), 31)
    found, taken = [], 0
    for world_size, count in ((1, 10), (2, 6), (1, 9)):
        draws, streams = [len(found)], []
        for rank in range(world_size):
            sampler = EndlessSampler(range(7), seed=3)
            sampler.rank, sampler.world_size = rank, world_size
            sampler.resume(draws, taken)
            sampler.skip(taken)
            streams.append(take(sampler, count))
        found += [key for keys in zip(*streams) for key in keys]
        taken += count
        assert sampler.draws_after(taken) == [len(found)]
    assert [(d, d.number) for d in found] == [(d, d.number) for d in whole]


def test_without_shuffling_the_order_of_the_dataset_is_kept():
    assert take(EndlessSampler(range(3), shuffle=False, seed=0), 5) == [0, 1, 2, 0, 1]


def test_an_empty_dataset_and_a_negative_skip_are_refused():
    with pytest.raises(ValueError, match='needs a dataset with images'):
        EndlessSampler([])
    with pytest.raises(ValueError, match='-1'):
        EndlessSampler(range(3), seed=0).skip(-1)
