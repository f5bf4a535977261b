"""L_aff of AFA: literal loops, the radius, ignored labels."""

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import affinity_loss
from mmseg_wsss.registry import MODELS


def slow_loss(affinity, pseudo, radius):
    n, height, width = pseudo.shape
    spots = [(y, x) for y in range(height) for x in range(width)]
    sums, counts = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for b in range(n):
        for i, (y, x) in enumerate(spots):
            for j, (v, u) in enumerate(spots):
                labels = pseudo[b, y, x].item(), pseudo[b, v, u].item()
                if max(abs(y - v), abs(x - u)) > radius or 255 in labels:
                    continue
                same = labels[0] == labels[1]
                value = affinity[b, i, j].item()
                sums[same] += 1 - value if same else value
                counts[same] += 1
    return sum(0.5 * sums[same] / (counts[same] + 1) for same in (True, False))


def near(affinity, pseudo):
    return affinity_loss(affinity, pseudo, radius=2)


def slow_near(affinity, pseudo):
    return slow_loss(affinity, pseudo, 2)


class TestAffinityLoss(LossTester):
    loss = staticmethod(near)
    reference = staticmethod(slow_near)
    blank = (1, 255)
    splits = ((1, 3),)

    def inputs(self):
        generator = torch.Generator().manual_seed(0)
        pseudo = torch.randint(0, 3, (4, 2, 5), generator=generator)
        pseudo[0, 1], pseudo[1, :, 2:] = 255, 255
        pseudo[2], pseudo[3, 0] = 0, 2
        affinity = torch.rand(4, 10, 10, generator=generator, dtype=torch.float64)
        return {'three classes': (affinity, pseudo)}


@pytest.mark.parametrize('labels', [(0, 0), (2, 2), (0, 1)])
def test_by_hand(labels):
    """Two cells: a pair of one label pulls up, of two labels pushes down."""
    pseudo = torch.tensor([[labels]])
    affinity = torch.tensor([[[0.5, 0.75], [0.25, 0.5]]])
    if labels[0] == labels[1]:  # 4 positive pairs
        expected = 0.5 * (0.5 + 0.25 + 0.75 + 0.5) / 5
    else:  # each cell with itself, and 2 negative pairs
        expected = 0.5 * (0.5 + 0.5) / 3 + 0.5 * (0.75 + 0.25) / 3
    assert affinity_loss(affinity, pseudo).item() == pytest.approx(expected)


@pytest.mark.parametrize('size', [(1, 20), (20, 1)])
def test_pairs_reach_exactly_the_radius(size):
    affinity = torch.zeros(1, 20, 20, requires_grad=True)
    pseudo = torch.zeros(1, *size, dtype=torch.int64)
    affinity_loss(affinity, pseudo).backward()
    distance = (torch.arange(20)[:, None] - torch.arange(20)).abs()
    assert (affinity.grad[0] != 0).equal(distance <= 8)


def test_distance_is_the_larger_of_rows_and_columns():
    affinity = torch.zeros(1, 9, 9, requires_grad=True)
    affinity_loss(affinity, torch.zeros(1, 3, 3, dtype=torch.int64), 1).backward()
    upper_left = affinity.grad[0, 0].view(3, 3) != 0
    assert upper_left.equal(torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0]]).bool())
    assert (affinity.grad[0, 4] != 0).all()


def test_perfect_affinity():
    pseudo = torch.tensor([[[0, 0, 1], [1, 255, 1]]])
    label = pseudo.flatten()
    perfect = (label[:, None] == label).float()[None]
    assert affinity_loss(perfect, pseudo) == 0
    assert affinity_loss(1 - perfect, pseudo) > 0.5


def test_what_is_ignored_may_be_anything():
    pseudo = torch.tensor([[[0, 255]]])
    affinity = torch.full((1, 2, 2), torch.nan)
    affinity[0, 0, 0] = 0.5
    affinity.requires_grad_()
    loss = affinity_loss(affinity, pseudo)
    loss.backward()
    assert loss == 0.5 * 0.5 / 2
    assert affinity.grad[0].tolist() == [[-0.25, 0.0], [0.0, 0.0]]


def test_module_and_its_config():
    loss = MODELS.build(dict(type='AffinityLoss', loss_weight=0.1, radius=1))
    pseudo = torch.tensor([[[0, 1, 255]]])
    affinity = torch.rand(1, 3, 3)
    assert loss(affinity, pseudo).equal(0.1 * affinity_loss(affinity, pseudo, 1))


@pytest.mark.parametrize('shape', [(1, 5, 6), (2, 6, 6), (6, 6)])
def test_bad_shapes(shape):
    with pytest.raises(ValueError, match=r'\(1, 2, 3\)'):
        affinity_loss(torch.rand(*shape), torch.zeros(1, 2, 3, dtype=torch.int64))
