"""L_scd of TSCD: literal loops, hand-made maps, where gradients flow."""

import math

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import self_correspondence_loss
from mmseg_wsss.registry import MODELS


def sample(maps, x, y):
    """Bilinear value of (C, h, w) at (x, y) in [-1, 1], corners aligned, clamped."""
    height, width = maps.shape[1:]
    row = min(max((y + 1) / 2 * (height - 1), 0), height - 1)
    column = min(max((x + 1) / 2 * (width - 1), 0), width - 1)
    top, left = int(row), int(column)
    value = 0
    for i, a in ((top, 1 - (row - top)), (min(top + 1, height - 1), row - top)):
        for j, b in (
            (left, 1 - (column - left)),
            (min(left + 1, width - 1), column - left),
        ):
            value = value + a * b * maps[:, i, j]
    return value.tolist()


def cosine(u, v):
    norms = [max(math.sqrt(sum(a * a for a in w)), 1e-10) for w in (u, v)]
    return sum(a * b for a, b in zip(u, v)) / norms[0] / norms[1]


def slow_loss(logits_a, logits_b, cam_a, cam_b, points_a, points_b, shift=0.0):
    n, p, q = len(cam_a), points_a.shape[1], points_b.shape[1]
    teacher, student = {}, {}
    for b in range(n):
        for i in range(p):
            for j in range(q):
                one, other = points_a[b, i].tolist(), points_b[b, j].tolist()
                teacher[b, i, j] = cosine(
                    sample(cam_a[b], *one), sample(cam_b[b], *other)
                )
                student[b, i, j] = cosine(
                    sample(logits_a[b], *one), sample(logits_b[b], *other)
                )
    mean = sum(teacher.values()) / len(teacher)
    target = {}
    for b, i, j in teacher:
        row = sum(teacher[b, i, k] for k in range(q)) / q
        target[b, i, j] = teacher[b, i, j] - row
    center = sum(target.values()) / len(target)
    total = 0.0
    for key, value in target.items():
        total -= max(student[key], 0.0) * (value - center + mean - shift)
    return total / len(target)


def by_logits_a(logits_a, logits_b, cam_a, cam_b, points_a, points_b):
    return self_correspondence_loss(
        cam_a, logits_a, cam_b, logits_b, points_a, points_b
    )


def by_logits_b(logits_b, logits_a, cam_a, cam_b, points_a, points_b):
    return self_correspondence_loss(
        cam_a, logits_a, cam_b, logits_b, points_a, points_b, shift=0.2
    )


def slow_by_logits_b(logits_b, logits_a, *rest):
    return slow_loss(logits_a, logits_b, *rest, shift=0.2)


def maps(seed):
    """Two views of different sizes, CAMs with empty rows, points in the corners."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    logits = rand(4, 3, 4, 5) - 0.4, rand(4, 3, 3, 2) - 0.4
    cams = rand(4, 2, 5, 6), rand(4, 2, 2, 3)
    cams[0][1, :, :3] = 0
    points = 2 * rand(4, 6, 2) - 1, 2 * rand(4, 5, 2) - 1
    points[0][0, 0], points[1][2, 1] = 1, torch.tensor([-1.0, 1.0])
    return *logits, *cams, *points


class TestByLogitsA(LossTester):
    loss = staticmethod(by_logits_a)
    reference = staticmethod(slow_loss)

    def inputs(self):
        return {'two sizes': maps(0)}


class TestByLogitsB(LossTester):
    loss = staticmethod(by_logits_b)
    reference = staticmethod(slow_by_logits_b)

    def inputs(self):
        a, b, *rest = maps(1)
        return {'two sizes': (b, a, *rest)}


CORNERS = torch.tensor([[[-1.0, -1.0], [1.0, 1.0]]])


def one_hot_map(first, last):
    """Two channels on 2 x 2 pixels; the class of the upper left and lower right one."""
    values = torch.zeros(1, 2, 2, 2)
    values[0, first, 0, 0] = 1
    values[0, last, 1, 1] = 1
    return values


def test_by_hand():
    """F is the identity: F' is 1 or 0 after its mean is put back, G equals F."""
    views = one_hot_map(0, 1)
    loss = self_correspondence_loss(views, views, views, views, CORNERS, CORNERS)
    # F - mean_q F = +-1/2, then + mean(F) = 1/2: F' = identity; -mean(G * F') = -1/2
    assert loss.item() == pytest.approx(-0.5)


def test_agreement_is_rewarded():
    cam = one_hot_map(0, 1)
    same = self_correspondence_loss(cam, cam, cam, cam, CORNERS, CORNERS)
    swapped = one_hot_map(1, 0)
    other = self_correspondence_loss(cam, cam, cam, swapped, CORNERS, CORNERS)
    assert same < other


def test_where_gradients_flow():
    logits_a, logits_b, cam_a, cam_b, points_a, points_b = (
        x.requires_grad_() for x in maps(0)
    )
    loss = by_logits_a(logits_a, logits_b, cam_a, cam_b, points_a, points_b)
    loss.backward()
    assert logits_a.grad.abs().sum() > 0 and logits_b.grad.abs().sum() > 0
    assert all(x.grad is None for x in (cam_a, cam_b, points_a, points_b))


def test_no_gradient_where_logits_oppose():
    cam = torch.ones(1, 2, 2, 2)
    logits = torch.ones(1, 3, 2, 2, requires_grad=True)
    loss = self_correspondence_loss(
        cam, logits, cam, -logits.detach(), CORNERS, CORNERS
    )
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_empty_cams_and_logits_of_zeros_are_finite():
    cam = torch.zeros(1, 2, 2, 2)
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    loss = self_correspondence_loss(cam, logits, cam, logits, CORNERS, CORNERS)
    loss.backward()
    assert loss == 0 and logits.grad.isfinite().all()


def test_module_and_its_config():
    loss = MODELS.build(dict(type='SelfCorrespondenceLoss', loss_weight=0.1, shift=0.2))
    logits_a, logits_b, cam_a, cam_b, *points = maps(2)
    args = (cam_a, logits_a, cam_b, logits_b, *points)
    assert loss(*args).equal(0.1 * self_correspondence_loss(*args, shift=0.2))


@pytest.mark.parametrize(
    'position, change, match',
    [
        (0, lambda x: x[:, :1], 'CAMs must be'),
        (1, lambda x: x[:, :1], 'logits must be'),
        (4, lambda x: x[..., :1], 'points must be'),
        (5, lambda x: x[:1], 'points must be'),
    ],
)
def test_bad_shapes(position, change, match):
    logits_a, logits_b, cam_a, cam_b, *points = maps(0)
    args = [cam_a, logits_a, cam_b, logits_b, *points]
    args[position] = change(args[position])
    with pytest.raises(ValueError, match=match):
        self_correspondence_loss(*args)
