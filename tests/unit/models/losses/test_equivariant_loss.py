"""equivariant_loss: loops, and constants by hand."""

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import equivariant_loss


def corners(row, length):
    """Linear interpolation of a list whose first and last entries stay."""
    at = [i * (len(row) - 1) / max(length - 1, 1) for i in range(length)]
    low = [min(int(a), len(row) - 2) if len(row) > 1 else 0 for a in at]
    high = [min(i + 1, len(row) - 1) for i in low]
    return [row[i] + (a - i) * (row[j] - row[i]) for a, i, j in zip(at, low, high)]


def slow_equivariant(cam_a, cam_b, tags):
    height, width = cam_b.shape[2:]
    total = 0.0
    for maps_a, maps_b, row in zip(cam_a.tolist(), cam_b.tolist(), tags.tolist()):
        for a, b, tag in zip(maps_a, maps_b, row):
            columns = [corners(line, width) for line in a]
            a = list(zip(*[corners(list(c), height) for c in zip(*columns)]))
            flat_a = [value for line in a for value in line]
            flat_b = [value for line in b for value in line]
            top_a, top_b = max(flat_a) + 1e-5, max(flat_b) + 1e-5
            if tag:
                total += sum(abs(x / top_a - y / top_b) for x, y in zip(flat_a, flat_b))
    return total / cam_b.numel()


def slow_gradient(cam_a, cam_b, tags):
    """Sign of the difference over the maximum, through the interpolation."""
    leaf = cam_a.clone().requires_grad_()
    small = torch.nn.functional.interpolate(
        leaf, cam_b.shape[2:], mode='bilinear', align_corners=True
    )
    top_a = small.detach().flatten(2).amax(2)[..., None, None] + 1e-5
    top_b = cam_b.flatten(2).amax(2)[..., None, None] + 1e-5
    sign = (small.detach() / top_a - cam_b / top_b).sign() * tags[..., None, None]
    small.backward(sign / top_a / cam_b.numel())
    return leaf.grad


class TestEquivariant(LossTester):
    loss = staticmethod(equivariant_loss)
    reference = staticmethod(slow_equivariant)
    gradient = staticmethod(slow_gradient)
    blank = (2, 0)

    def inputs(self):
        torch.manual_seed(0)
        a = torch.rand(4, 3, 6, 7, dtype=torch.float64)
        b = torch.rand(4, 3, 3, 4, dtype=torch.float64)
        tags = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 1]])
        return {'smaller view': (a, b, tags), 'larger view': (b, a, tags)}


def test_by_hand():
    cam_a = torch.tensor([[[[0.0, 2.0]], [[5.0, 1.0]]]])
    cam_b = torch.tensor([[[[3.0, 3.0]], [[1.0, 5.0]]]])
    loss = equivariant_loss(cam_a, cam_b, torch.tensor([[1, 0]]))
    assert loss.item() == pytest.approx((1 + 0) / 4, abs=1e-5)


def test_both_views_get_a_gradient():
    views = [torch.rand(1, 2, 4, 4, requires_grad=True) for _ in range(2)]
    equivariant_loss(*views, torch.ones(1, 2)).backward()
    assert all(view.grad.abs().sum() > 0 for view in views)


def test_shapes():
    cam = torch.rand(1, 2, 4, 4)
    with pytest.raises(ValueError, match=r'\(1, 2, 4, 4\).*\(1, 3\)'):
        equivariant_loss(cam, cam, torch.ones(1, 3))
