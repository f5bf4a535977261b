"""The walk against a dense matrix."""

import itertools

import pytest
import torch

from mmseg_wsss.models.utils import half_disk, pair_affinity
from mmseg_wsss.registry import MODELS


def dense_transition(affinity, radius, beta):
    """T of one image, entry by entry."""
    _, height, width = affinity.shape
    step = torch.eye(height * width, dtype=torch.float64)
    for y, x in itertools.product(range(height), range(width)):
        for p, (dy, dx) in enumerate(half_disk(radius)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                i, j = y * width + x, (y + dy) * width + x + dx
                step[i, j] = step[j, i] = float(affinity[p, y, x]) ** beta
    return step / step.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ('size', 'steps'), [((5, 6), 256), ((3, 1), 64), ((4, 4), 1), ((4, 2), 13)]
)
def test_the_walk_is_a_power_of_the_matrix(size, steps):
    rng = torch.Generator().manual_seed(0)
    affinity = pair_affinity(torch.randn(2, 3, *size, generator=rng), 3)
    maps = torch.rand(2, 4, *size, generator=rng)
    walk = MODELS.build(dict(type='RandomWalk', radius=3, beta=4, steps=steps))
    found = walk(maps, affinity)
    squared = walk._by_squaring(maps, affinity**4)  # as on a GPU
    torch.testing.assert_close(squared, found, rtol=1e-4, atol=1e-5)
    for n in range(2):
        power = torch.linalg.matrix_power(dense_transition(affinity[n], 3, 4), steps)
        expected = (power @ maps[n].flatten(1).T.double()).T.view_as(maps[n])
        torch.testing.assert_close(found[n].double(), expected, rtol=1e-4, atol=1e-5)


def test_nothing_crosses_an_edge():
    feat = torch.zeros(1, 1, 4, 6)
    feat[..., 3:] = 1e3
    maps = torch.zeros(1, 1, 4, 6)
    maps[0, 0, 0, 0] = 1.0
    walk = MODELS.build(dict(type='RandomWalk', steps=512))
    spread = walk(maps, pair_affinity(feat, 5))[0, 0]
    assert spread[:, 3:].eq(0).all()
    assert (spread[:, :3] > 0.5 / 12).all()


def test_no_step_changes_nothing_and_constants_stay():
    affinity = pair_affinity(torch.randn(1, 2, 4, 4), 5)
    maps = torch.rand(1, 2, 4, 4)
    walk = MODELS.build(dict(type='RandomWalk', steps=0))
    assert torch.equal(walk(maps, affinity), maps)
    walk = MODELS.build(dict(type='RandomWalk'))
    ones = torch.ones(1, 1, 4, 4)
    torch.testing.assert_close(walk(ones, affinity), ones, rtol=0, atol=1e-3)
    expected = walk(maps, affinity)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(walk(maps, affinity), expected)


def test_bad_arguments():
    with pytest.raises(ValueError, match='negative, got -1'):
        MODELS.build(dict(type='RandomWalk', steps=-1))
    walk = MODELS.build(dict(type='RandomWalk'))
    with pytest.raises(ValueError, match=r'expected affinities \(1, 34, 4, 4\)'):
        walk(torch.rand(1, 2, 4, 4), torch.rand(1, 12, 4, 4))
