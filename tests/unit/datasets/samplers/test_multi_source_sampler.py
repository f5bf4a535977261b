"""MultiSourceSampler: counts, passes, ranks, resuming."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_wsss.datasets.sample_key import SampleKey
from mmseg_wsss.datasets.samplers import MultiSourceSampler


class Sources:
    """A dataset of sources with these numbers of images."""

    def __init__(self, *sizes: int) -> None:
        self.cumulative_sizes = np.cumsum(sizes).tolist()


def take(sampler: MultiSourceSampler, count: int) -> list[SampleKey]:
    stream = iter(sampler)
    return [next(stream) for _ in range(count)]


def at_rank(rank: int, world_size: int, *args, **kwargs) -> MultiSourceSampler:
    sampler = MultiSourceSampler(*args, **kwargs)
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


class TestMultiSourceSampler:
    @pytest.mark.parametrize(
        ('batch_size', 'ratio', 'counts'),
        [
            (2, [1, 1], [1, 1]),
            (8, [1, 1], [4, 4]),
            (5, [1, 1], [3, 2]),
            (5, [1, 4], [1, 4]),
            (7, [1, 2], [3, 4]),
            (10, [0.7, 0.3], [7, 3]),
        ],
    )
    def test_every_batch_has_the_same_counts(self, batch_size, ratio, counts):
        draws = take(MultiSourceSampler(Sources(3, 11), batch_size, ratio, seed=0), 280)
        for start in range(0, 280, batch_size):
            batch = draws[start : start + batch_size]
            assert [d < 3 for d in batch] == [True] * counts[0] + [False] * counts[1]
        assert [draw.number for draw in draws] == list(range(280))

    def test_each_pass_of_a_source_has_every_image_once(self):
        draws = take(MultiSourceSampler(Sources(3, 11), 4, [1, 3], seed=0), 132)
        first = [d for d in draws if d < 3]
        second = [d - 3 for d in draws if d >= 3]
        assert all(
            sorted(first[i : i + 3]) == [0, 1, 2] for i in range(0, len(first), 3)
        )
        passes = [second[i : i + 11] for i in range(0, len(second), 11)]
        assert all(sorted(one) == list(range(11)) for one in passes)
        assert len({tuple(one) for one in passes}) == len(passes) == 9

    def test_equal_sources_have_different_orders(self):
        draws = take(MultiSourceSampler(Sources(50, 50), 2, seed=0), 100)
        assert draws[::2] != [d - 50 for d in draws[1::2]]

    def test_seeds_differ_and_repeat(self):
        runs = [
            take(MultiSourceSampler(Sources(9, 9), 2, seed=s), 18) for s in (0, 1, 0)
        ]
        assert runs[0] == runs[2] != runs[1]

    def test_without_shuffling_sources_keep_their_order(self):
        sampler = MultiSourceSampler(Sources(2, 3), 2, shuffle=False, seed=0)
        assert take(sampler, 8) == [0, 2, 1, 3, 0, 4, 1, 2]

    @pytest.mark.parametrize('world_size', [2, 3])
    def test_ranks_share_the_draws_of_one_process(self, world_size):
        """Also if images, batches and ranks are no multiples of each other."""
        one = take(
            MultiSourceSampler(Sources(5, 7), 3 * world_size, [2, 1], seed=3), 90
        )
        ranks = [
            take(at_rank(r, world_size, Sources(5, 7), 3, [2, 1], seed=3), 30)
            for r in range(world_size)
        ]
        for i in range(30 // 3):
            mine = one[i * 3 * world_size : (i + 1) * 3 * world_size]
            theirs = [d for rank in ranks for d in rank[3 * i : 3 * i + 3]]
            keys = [sorted((d.number, int(d)) for d in part) for part in (mine, theirs)]
            assert keys[0] == keys[1]

    @pytest.mark.parametrize('taken', [1, 8, 41])
    def test_skip_continues_the_stream(self, taken):
        args = 1, 2, Sources(5, 7), 4, [3, 1]
        whole = take(at_rank(*args, seed=3), 60)
        rest = at_rank(*args, seed=3)
        rest.skip(taken)
        found = take(rest, 60 - taken)
        assert found == whole[taken:]
        assert [d.number for d in found] == [d.number for d in whole[taken:]]

    def test_resuming_on_other_ranks_and_batches_goes_on(self):
        """One rank, then two with more images, then one; each draw is taken once."""
        parts = [(1, 4, [3, 1], 5), (2, 6, [3, 3], 3), (1, 4, [3, 1], 7)]
        draws, taken, keys = [0, 0], 0, []
        for world_size, batch, ratio, iterations in parts:
            after = set()
            for rank in range(world_size):
                args = rank, world_size, Sources(5, 7), batch, ratio
                sampler = at_rank(*args, seed=3)
                sampler.resume(draws, taken * batch)
                sampler.skip(taken * batch)
                keys += take(sampler, iterations * batch)
                after.add(tuple(sampler.draws_after((taken + iterations) * batch)))
            (draws,) = after
            taken += iterations
        assert list(draws) == [15 + 18 + 21, 5 + 18 + 7]
        assert sorted(key.number for key in keys) == list(range(sum(draws)))
        for start, size, count in ((0, 5, draws[0]), (5, 7, draws[1])):
            mine = [int(key) - start for key in keys if 0 <= key - start < size]
            assert len(mine) == count
            passes, rest = divmod(count, size)
            times = [mine.count(index) for index in range(size)]
            assert sorted(times) == [passes] * (size - rest) + [passes + 1] * rest

    def test_a_replayed_stream_goes_on_after_the_draws(self):
        """A runner that cannot skip takes all draws and drops the first ones."""
        args = 1, 2, Sources(5, 7), 4, [3, 1]
        skipped, replayed = (at_rank(*args, seed=3) for _ in range(2))
        for sampler in (skipped, replayed):
            sampler.resume([30, 10], 8)
        skipped.skip(8)
        first, second = take(skipped, 12), take(replayed, 20)[8:]
        assert [(d, d.number) for d in first] == [(d, d.number) for d in second]

    def test_draws_of_other_sources_are_refused(self):
        with pytest.raises(ValueError, match=r'with 1 sources .* dataset has 2; res'):
            MultiSourceSampler(Sources(3, 5), 2, seed=0).resume([8], 4)

    def test_skip_takes_constant_time(self):
        sampler = MultiSourceSampler(Sources(5, 7), 4, seed=0)
        sampler.skip(4 * 10**12)
        (first,) = take(sampler, 1)
        assert first.number == 4 * 10**12

    @pytest.mark.parametrize(
        ('dataset', 'batch_size', 'ratio', 'message'),
        [
            (Sources(3, 5), 1, [1, 1], 'source 1 no image of a batch of 1'),
            (Sources(3, 5), 4, [9, 1], r'\[9, 1\] gives source 1 no image'),
            (Sources(3, 5), 4, [1, 0], r'2 numbers above 0.*\[1, 0\]'),
            (Sources(3, 5), 4, [1], r'2 numbers above 0.*\[1\]'),
            (Sources(3, 0), 4, [1, 1], r'needs images.*\[3, 0\]'),
            (range(8), 4, [1, 1], 'cumulative_sizes.*got range'),
        ],
    )
    def test_bad_arguments_are_named(self, dataset, batch_size, ratio, message):
        with pytest.raises(ValueError, match=message):
            MultiSourceSampler(dataset, batch_size, ratio, seed=0)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(1, 9), st.sampled_from([0.5, 1, 2, 7])),
            min_size=1,
            max_size=3,
        ),
        st.integers(1, 9),
        st.integers(1, 3),
    )
    def test_any_batch_and_ratio_works_or_is_refused(self, sources, batch, world_size):
        """Counts are rounded down, and each pass has every image once."""
        sizes, ratio = zip(*sources)
        parts = [Fraction(r) / Fraction(sum(ratio)) * batch for r in ratio]
        args = world_size, Sources(*sizes), batch, ratio
        if any(part < 1 for part in parts[1:]):
            with pytest.raises(ValueError, match='no image of a batch'):
                at_rank(0, *args, seed=0)
            return
        samplers = [at_rank(rank, *args, seed=0) for rank in range(world_size)]
        counts = [int(part) for part in parts[1:]]
        counts.insert(0, batch - sum(counts))
        iterations = 2 * max(sizes)
        streams = [take(sampler, iterations * batch) for sampler in samplers]
        draws = sorted((d for s in streams for d in s), key=lambda d: d.number)
        assert [d.number for d in draws] == list(range(len(draws)))
        start = 0
        for size, count in zip(sizes, counts):
            mine = [d - start for d in draws if start <= d < start + size]
            assert len(mine) == count * iterations * world_size
            passes = [mine[i : i + size] for i in range(0, len(mine), size)]
            assert all(len(set(one)) == len(one) for one in passes)
            start += size

    def test_a_negative_skip_is_refused(self):
        with pytest.raises(ValueError, match='-1'):
            MultiSourceSampler(Sources(3, 5), 2, seed=0).skip(-1)
