"""Draws, their seeds, and the sampler that yields them."""

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


def test_a_draw_is_an_index_and_survives_the_way_to_a_worker():
    draw = pickle.loads(pickle.dumps(SampleKey(3, seed=7, number=11)))
    assert draw == 3
    assert ['a', 'b', 'c', 'd'][draw] == 'd'
    assert (draw.seed, draw.number) == (7, 11)


def test_seeded_repeats_and_leaves_the_generators_as_they_were():
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


def test_each_pass_holds_every_image_once_in_an_order_of_its_own():
    draws = take(EndlessSampler(range(10), seed=3), 30)
    laps = [draws[i : i + 10] for i in (0, 10, 20)]
    assert all(sorted(lap) == list(range(10)) for lap in laps)
    assert laps[0] != laps[1] != laps[2]
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


def test_without_shuffling_the_order_is_that_of_the_dataset():
    assert take(EndlessSampler(range(3), shuffle=False, seed=0), 5) == [0, 1, 2, 0, 1]


def test_an_empty_dataset_and_a_negative_skip_are_refused():
    with pytest.raises(ValueError, match='needs a dataset with images'):
        EndlessSampler([])
    with pytest.raises(ValueError, match='-1'):
        EndlessSampler(range(3), seed=0).skip(-1)
