"""The loss of pixel pairs against a loop over pairs."""

import itertools
import math

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import pair_affinity_loss
from mmseg_wsss.models.utils import half_disk, pair_affinity, partners
from mmseg_wsss.registry import MODELS

RADIUS = 3
OFFSETS = half_disk(RADIUS)


def slow_loss(affinity, label):
    """Each pair of pixels, by hand."""
    sums = {'bg': [], 'fg': [], 'neg': []}
    num, _, height, width = affinity.shape
    for n, y, x in itertools.product(range(num), range(height), range(width)):
        for p, (dy, dx) in enumerate(OFFSETS):
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            one, other = int(label[n, y, x]), int(label[n, y + dy, x + dx])
            value = float(affinity[n, p, y, x])
            if 255 in (one, other):
                continue
            if one != other:
                sums['neg'].append(-math.log(1 - value + 1e-5))
            else:
                sums['fg' if one else 'bg'].append(-math.log(value + 1e-5))
    bg, fg, neg = (sum(v) / len(v) if v else 0.0 for v in sums.values())
    return bg / 4 + fg / 4 + neg / 2


def loss_at_3(affinity, label):
    return pair_affinity_loss(affinity, label, RADIUS)


class TestPairAffinityLoss(LossTester):
    loss = staticmethod(loss_at_3)
    reference = staticmethod(slow_loss)
    blank = (1, 255)
    splits = ((2, 2), (3, 1))

    def inputs(self):
        rng = torch.Generator().manual_seed(0)
        shape = (4, len(OFFSETS), 3, 4)
        affinity = 0.1 + 0.8 * torch.rand(shape, generator=rng, dtype=torch.float64)
        label = torch.randint(3, (4, 3, 4), generator=rng)
        label[torch.rand(label.shape, generator=rng) < 0.3] = 255
        return {'three classes': (affinity, label)}


def test_constants():
    """Affinity 1/2 everywhere costs log 2 for every kind of pair that is there."""
    affinity = torch.full((1, len(OFFSETS), 3, 4), 0.5)
    log2 = math.log(2)
    label = torch.zeros(1, 3, 4, dtype=torch.long)
    assert loss_at_3(affinity, label).item() == pytest.approx(log2 / 4, rel=1e-4)
    label[:, :, 2:] = 3
    assert loss_at_3(affinity, label).item() == pytest.approx(log2, rel=1e-4)


def test_the_half_disk_holds_each_pair_once():
    assert len(half_disk(5)) == 34
    assert len({*half_disk(5), *((-y, -x) for y, x in half_disk(5))}) == 68
    assert max(y**2 + x**2 for y, x in half_disk(5)) < 25
    assert half_disk(2) == [(0, 1), (1, -1), (1, 0), (1, 1)]
    with pytest.raises(ValueError, match='at least 2, got 1'):
        half_disk(1)


@pytest.mark.parametrize('size', [(5, 6), (1, 4), (2, 1)])
def test_affinities_are_those_of_a_loop(size):
    rng = torch.Generator().manual_seed(0)
    feat = torch.randn(2, 3, *size, generator=rng, dtype=torch.float64)
    feat.requires_grad_()
    found = pair_affinity(feat, RADIUS)
    expected = torch.zeros(2, len(OFFSETS), *size, dtype=torch.float64)
    for n, y, x in itertools.product(range(2), range(size[0]), range(size[1])):
        for p, (dy, dx) in enumerate(OFFSETS):
            if 0 <= y + dy < size[0] and 0 <= x + dx < size[1]:
                gap = feat[n, :, y, x] - feat[n, :, y + dy, x + dx]
                expected[n, p, y, x] = torch.exp(-gap.abs().mean())
    torch.testing.assert_close(found, expected.detach())
    # A random projection of the Jacobian: one backward pass in place of one per value.
    weight = torch.rand(found.shape, generator=rng, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda f: (pair_affinity(f, RADIUS) * weight).sum(), feat
    )
    with torch.no_grad():
        assert torch.equal(pair_affinity(feat, RADIUS), found)


def test_partners_outside_get_the_fill_value():
    label = torch.arange(6).view(1, 2, 3)
    found = partners(label, 2, 255)[0]
    assert found[0].tolist() == [[1, 2, 255], [4, 5, 255]]  # to the right
    assert found[1].tolist() == [[255, 3, 4], [255, 255, 255]]  # below, to the left


def test_module_and_bad_shapes():
    loss = MODELS.build(dict(type='PairAffinityLoss', loss_weight=2.0))
    affinity = torch.full((1, len(OFFSETS), 3, 4), 0.5)
    label = torch.zeros(1, 3, 4, dtype=torch.long)
    value = loss(affinity, label, RADIUS)
    assert value == 2 * loss_at_3(affinity, label)
    with pytest.raises(ValueError, match='34 pairs per pixel, got affinities of'):
        pair_affinity_loss(affinity, label, 5)
    with pytest.raises(ValueError, match='of the same size'):
        loss_at_3(affinity, label[:, :2])
