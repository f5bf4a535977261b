"""The lattice filter against its defining properties and exact Gaussian sums."""

import pytest
import torch

from mmseg_wsss.models.refiners import permutohedral
from mmseg_wsss.models.refiners.permutohedral import (
    _enclosing_simplex,
    build_lattice,
    stack_filters,
)


def make_features(dim: int, num: int, scale: float = 2.0, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(dim, num, generator=generator) * scale


def elevation(dim: int) -> torch.Tensor:
    """Basis of the plane of zero sum, scaled as in the paper: (dim + 1, dim)."""
    basis = torch.zeros(dim + 1, dim, dtype=torch.float64)
    for j in range(1, dim + 1):
        basis[:j, j - 1] = 1
        basis[j, j - 1] = -j
    return basis / basis.norm(dim=0) * (2 / 3) ** 0.5 * (dim + 1)


@pytest.mark.parametrize('dim', [1, 2, 3, 5])
def test_every_point_is_the_weighted_mean_of_its_vertices(dim):
    features = make_features(dim, 500, scale=9.0) - 4
    origin, rank, weight = _enclosing_simplex(features)
    assert (weight > -1e-5).all()
    torch.testing.assert_close(weight.sum(0), torch.ones(500))
    assert (rank.sort(0).values == torch.arange(dim + 1)[:, None]).all()
    assert (origin.sum(0) == 0).all()
    # Vertex of remainder r: the origin plus r, less d + 1 where the rank exceeds d - r.
    mean = torch.zeros(dim + 1, 500, dtype=torch.float64)
    for remainder in range(dim + 1):
        vertex = origin.double() * (dim + 1) + remainder
        vertex -= (dim + 1) * (rank > dim - remainder)
        mean += vertex * weight[remainder]
    expected = elevation(dim) @ features.double()
    torch.testing.assert_close(mean, expected, atol=1e-4, rtol=0)


def test_a_point_on_a_vertex_by_hand():
    """One point at the origin of the plane, weight 1 on vertex 0.

    Of the three vertices (0, v1, v2), direction 0 joins 0 and v2, 1 joins v2 and v1,
    2 joins v1 and 0: v2 = 1/2, then v1 = 1/4, then vertex 0 = 1 + 1/8.
    """
    lattice = build_lattice(torch.zeros(2, 1))
    assert lattice.num_vertices == 3
    result = lattice(torch.tensor([[1.0, -2.0]]))
    expected = torch.tensor([[1.0, -2.0]]) * 1.125 / 1.25
    torch.testing.assert_close(result, expected)


def test_equal_points_share_equally():
    lattice = build_lattice(make_features(5, 1).repeat(1, 50))
    result = lattice(torch.rand(50, 3))
    torch.testing.assert_close(result, result[:1].expand(50, 3))


@pytest.mark.parametrize(('dim', 'bound'), [(2, 0.99), (5, 0.96)])
def test_close_to_exact_gaussian_sums(dim, bound):
    """Blurring three taps on a coarse lattice is rough, but proportional."""
    features = make_features(dim, 1500, scale=3.0)
    values = make_features(4, 1500, seed=1).t()
    result = build_lattice(features)(values)
    exact = torch.exp(-0.5 * torch.cdist(features.t(), features.t()) ** 2) @ values
    for column in range(4):
        both = torch.stack([result[:, column], exact[:, column]])
        assert torch.corrcoef(both)[0, 1] > bound


def test_far_points_do_not_meet():
    features = torch.tensor([[0.0, 40.0], [0.0, 0.0]])
    result = build_lattice(features)(torch.eye(2))
    assert result[0, 1] == result[1, 0] == 0


def test_linear_non_negative_and_column_by_column():
    lattice = build_lattice(make_features(5, 300))
    a, b = make_features(3, 300, seed=1).t(), make_features(3, 300, seed=2).t()
    torch.testing.assert_close(lattice(2 * a - b), 2 * lattice(a) - lattice(b))
    torch.testing.assert_close(lattice(torch.cat([a, b], 1))[:, 3:], lattice(b))
    assert (lattice(torch.eye(300)) >= 0).all()


def test_groups_do_not_see_each_other():
    first, second = make_features(3, 80), make_features(3, 80, seed=1)
    values = torch.rand(160, 2)
    both = build_lattice(torch.cat([first, second], 1), num_groups=2)(values)
    alone = [build_lattice(first)(values[:80]), build_lattice(second)(values[80:])]
    torch.testing.assert_close(both, torch.cat(alone))


def test_stacked_and_scaled_filters_are_the_sum_of_products():
    flat, full = make_features(2, 120), make_features(5, 120)
    a, b = build_lattice(flat), build_lattice(full)
    before, after = torch.rand(120), torch.rand(120)
    values = torch.rand(120, 4)
    result = stack_filters([a, b.scaled(before, after)])(values)
    expected = a(values) + after[:, None] * b(before[:, None] * values)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize('scale', [0.0, 0.5])
def test_long_rows_are_summed_in_pieces(monkeypatch, scale):
    """Also of an image of one color, the rows of which have all of its pixels."""
    features, values = make_features(2, 200, scale), torch.rand(200, 2)
    whole = build_lattice(features)
    monkeypatch.setattr(permutohedral, 'MAX_ROW', 7)
    pieces = build_lattice(features)
    assert len(whole._parts) == 1 and len(pieces._parts) == 2
    part = pieces._parts[0]
    lengths = torch.diff(part.start, append=torch.tensor([len(part.column)]))
    assert lengths.min() >= 0 and lengths.max() == 7
    torch.testing.assert_close(pieces(values), whole(values))
    stacked = stack_filters([pieces, build_lattice(make_features(5, 200))])
    assert stacked.long_rows and stacked.scaled(values[:, 0], values[:, 1]).long_rows


def test_too_many_cells():
    with pytest.raises(ValueError, match='use larger standard deviations'):
        build_lattice(make_features(5, 10, scale=1e5))
