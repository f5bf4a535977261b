"""The loss of displacements against a loop over pairs (IRN)."""

import itertools

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import displacement_loss
from mmseg_wsss.models.utils import half_disk
from mmseg_wsss.registry import MODELS

RADIUS = 3


def slow_loss(field, label):
    """Each pair of pixels, by hand."""
    sums = {'bg': [], 'fg': []}
    num, _, height, width = field.shape
    for n, y, x in itertools.product(range(num), range(height), range(width)):
        for dy, dx in half_disk(RADIUS):
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            one, other = int(label[n, y, x]), int(label[n, y + dy, x + dx])
            if one != other or one == 255:
                continue
            moved = (dy, dx) if one else (0, 0)
            apart = [
                abs(float(field[n, d, y, x] - field[n, d, y + dy, x + dx]) - moved[d])
                for d in range(2)
            ]
            sums['fg' if one else 'bg'].append(sum(apart) / 2)
    return sum(sum(values) / len(values) / 2 for values in sums.values() if values)


def loss_at_3(field, label):
    return displacement_loss(field, label, RADIUS)


class TestDisplacementLoss(LossTester):
    loss = staticmethod(loss_at_3)
    reference = staticmethod(slow_loss)
    blank = (1, 255)
    splits = ((2, 2), (3, 1))

    def inputs(self):
        rng = torch.Generator().manual_seed(0)
        field = torch.randn(4, 2, 4, 5, generator=rng, dtype=torch.float64)
        label = torch.randint(3, (4, 4, 5), generator=rng)
        label[torch.rand(label.shape, generator=rng) < 0.3] = 255
        return {'three classes': (field, label)}


def test_a_field_that_points_to_one_cell_costs_nothing():
    rows, cols = torch.meshgrid(torch.arange(5.0), torch.arange(6.0), indexing='ij')
    to_centre = torch.stack([2 - rows, 3 - cols])[None]
    assert loss_at_3(to_centre, torch.full((1, 5, 6), 4)) == 0
    assert loss_at_3(torch.zeros(1, 2, 5, 6), torch.zeros(1, 5, 6).long()) == 0
    assert loss_at_3(to_centre, torch.zeros(1, 5, 6).long()) > 0


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r'expected displacements \(N, 2, h, w\)'):
        displacement_loss(torch.zeros(1, 3, 4, 5), torch.zeros(1, 4, 5).long())


def test_module_weighs():
    field = torch.randn(1, 2, 4, 5, generator=torch.Generator().manual_seed(0))
    label = torch.ones(1, 4, 5, dtype=torch.long)
    module = MODELS.build({'type': 'DisplacementLoss', 'loss_weight': 0.5})
    plain = displacement_loss(field, label, RADIUS)
    assert torch.equal(module(field, label, RADIUS), 0.5 * plain)
