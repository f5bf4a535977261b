"""Dense energy: brute force, the rule of its gradient, ROI and gate, shared kernels."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import LossTester

from mmseg_wsss.models.losses import dense_energy_loss, dense_energy_losses
from mmseg_wsss.models.losses.gaussian_sum import _PairKernel, gaussian_sum
from mmseg_wsss.models.segmentors.weak.parts.dense_energy import build_dense_energy


def slow_energy(prob, img, roi, pseudo, sigma_rgb, sigma_xy):
    """Value and gradient of the gated energy by loops, at the size of the arguments."""
    n, classes, height, width = prob.shape
    energy, grad = 0.0, torch.zeros_like(prob)
    spots = [(y, x) for y in range(height) for x in range(width)]
    for b in range(n):
        score = {p: prob[b, :, p[0], p[1]].tolist() for p in spots}
        color = {p: img[b, :, p[0], p[1]].tolist() for p in spots}
        inside = {p: float(roi[b, p[0], p[1]]) for p in spots}
        for i in spots:
            gate = max(inside[i] - max(score[i]), 0.0)
            if pseudo[b, i[0], i[1]] == 255:
                gate = 1.0
            total = [0.0] * classes
            for j in spots:
                place = (i[0] - j[0]) ** 2 + (i[1] - j[1]) ** 2
                paint = sum((a - c) ** 2 for a, c in zip(color[i], color[j]))
                w = math.exp(-0.5 * (place / sigma_xy**2 + paint / sigma_rgb**2))
                for k in range(classes):
                    total[k] += w * score[j][k] * inside[j]
            for k in range(classes):
                energy -= score[i][k] * inside[i] * gate * total[k] / n
                grad[b, k, i[0], i[1]] = -2 / n * gate * total[k] * inside[i]
    return energy, grad


def full_size(prob, img, roi, pseudo):
    return dense_energy_loss(prob, img, roi, pseudo, 60.0, 3.0, scale_factor=1.0)


def half_size(prob, img, roi, pseudo):
    return dense_energy_loss(prob, img, roi, pseudo, 60.0, 6.0, 0.5, weight=0.1)


def slow_full_size(prob, img, roi, pseudo):
    return slow_energy(prob, img, roi, pseudo, 60.0, 3.0)[0]


def slow_full_size_grad(prob, img, roi, pseudo):
    return slow_energy(prob, img, roi, pseudo, 60.0, 3.0)[1]


def halves(prob, img, roi, pseudo):
    """Mean of 2 x 2 pixels is the bilinear half; nearest takes the upper left one."""
    parts = [prob[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)]
    return (
        sum(parts) / 4,
        img[:, :, ::2, ::2],
        roi[:, ::2, ::2],
        pseudo[:, ::2, ::2],
    )


def slow_half_size(*args):
    return 0.1 * slow_energy(*halves(*args), 60.0, 3.0)[0]


def slow_half_size_grad(*args):
    """Each pixel has a quarter of the gradient of the reduced pixel it belongs to."""
    _, grad = slow_energy(*halves(*args), 60.0, 3.0)
    return 0.1 * grad.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4


def draw(size=(6, 8), classes=3, n=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    prob = (torch.randn(n, classes, *size, generator=generator) * 2).softmax(1).double()
    img = torch.randint(256, (n, 3, *size), generator=generator).double()
    roi = torch.ones(n, *size, dtype=torch.bool)
    roi[:, : size[0] // 3] = False
    roi[1:, :, : size[1] // 4] = False
    pseudo = torch.randint(classes + 1, (n, *size), generator=generator)
    return prob, img, roi, pseudo.masked_fill(pseudo == classes, 255)


class TestFullSize(LossTester):
    loss = staticmethod(full_size)
    reference = staticmethod(slow_full_size)
    gradient = staticmethod(slow_full_size_grad)
    blank = (2, 0)

    def inputs(self):
        prob, img, roi, pseudo = draw((4, 5))
        labeled = pseudo.where(pseudo != 255, 0)
        return {
            'plain': (prob, img, roi, pseudo),
            'all labeled': (prob, img, roi, labeled),
            'no label': (prob, img, roi, torch.full_like(pseudo, 255)),
            'soft roi': (prob, img, roi.double() * 0.7, pseudo),
            'one row': draw((1, 7)),
        }


class TestHalfSize(LossTester):
    loss = staticmethod(half_size)
    reference = staticmethod(slow_half_size)
    gradient = staticmethod(slow_half_size_grad)
    blank = (2, 0)

    def inputs(self):
        return {'plain': draw(), 'two classes': draw((4, 10), 2, seed=1)}


def test_constant():
    # Two pixels of one color, at distance 1, with sxy = 1: w is 1 and exp(-1/2).
    prob = torch.tensor([[[[0.5, 0.75]], [[0.5, 0.25]]]])
    img, roi = torch.full((1, 3, 1, 2), 40.0), torch.ones(1, 1, 2)
    pseudo = torch.tensor([[[255, 1]]])  # gates: 1, and 1 - 0.75
    w = math.exp(-0.5)
    left = 0.5 * (0.5 + w * 0.75) + 0.5 * (0.5 + w * 0.25)
    right = 0.75 * (0.75 + w * 0.5) + 0.25 * (0.25 + w * 0.5)
    loss = dense_energy_loss(prob, img, roi, pseudo, sigma_xy=1.0, scale_factor=1.0)
    assert loss.item() == pytest.approx(-(left + 0.25 * right))


def test_defaults_are_those_of_rrm():
    prob, img, roi, pseudo = draw((8, 8))
    args = halves(prob, img, roi, pseudo)
    expected, _ = slow_energy(*args, 15.0, 50.0)
    assert dense_energy_loss(prob, img, roi, pseudo).item() == pytest.approx(expected)


def test_is_at_most_0_and_not_trained_in_padding():
    prob, img, roi, pseudo = draw((8, 8))
    prob.requires_grad_()
    loss = dense_energy_loss(prob, img, roi, pseudo, scale_factor=1.0)
    loss.backward()
    outside = ~roi[:, None].expand_as(prob)
    assert loss < 0
    assert (prob.grad[outside] == 0).all()
    assert prob.grad.abs().sum() > 0


def test_a_sure_labeled_pixel_has_a_closed_gate():
    prob, img, roi, pseudo = draw((3, 3))
    roi[:] = True
    prob[0, :, 1, 1] = torch.tensor([1.0, 0.0, 0.0])
    pseudo[0, 1, 1] = 0
    prob.requires_grad_()
    dense_energy_loss(prob, img, roi, pseudo, scale_factor=1.0).backward()
    assert (prob.grad[0, :, 1, 1] == 0).all()
    assert (prob.grad[0, :, 0, 0] < 0).all()


@pytest.mark.parametrize('size', [(1, 1), (5, 7), (9, 2), (3, 1)])
def test_odd_sizes_sample_the_whole_image(size):
    prob, img, roi, pseudo = draw(size, n=2)
    roi[:] = True
    small = [max(side // 2, 1) for side in size]
    args = (
        F.interpolate(prob, small, mode='bilinear', align_corners=False),
        F.interpolate(img, small),
        torch.ones(2, *small),
        F.interpolate(pseudo[:, None].double(), small)[:, 0],
    )
    expected, _ = slow_energy(*args, 60.0, 3.0)
    loss = dense_energy_loss(prob, img, roi, pseudo, 60.0, 6.0)
    assert loss.item() == pytest.approx(expected)


def test_heads_that_share_a_kernel_equal_single_ones():
    prob, img, roi, pseudo = draw()
    other, *_ = draw(classes=2, seed=3)
    heads = [prob.requires_grad_(), other.requires_grad_()]
    losses = dense_energy_losses(heads, img, roi, pseudo, weight=0.5)
    for head, loss in zip(heads, losses):
        single = dense_energy_loss(head, img, roi, pseudo, weight=0.5)
        torch.testing.assert_close(loss, single)
        (grad,) = torch.autograd.grad(loss, head)
        torch.testing.assert_close(grad, torch.autograd.grad(single, head)[0])


def test_segmentors_pass_their_settings():
    args = draw()
    settings = {'sigma_rgb': 60.0, 'sigma_xy': 6.0, 'scale_factor': 1.0}
    expected = dense_energy_loss(*args, 60.0, 6.0, 1.0, weight=0.1)
    assert not torch.isclose(expected, dense_energy_loss(*args, 60.0, 6.0, weight=0.1))
    energy = build_dense_energy(settings | {'weight': 0.1})
    prob, *rest = args
    (found,) = energy([prob.log()], *rest)
    torch.testing.assert_close(found, expected)
    (published,) = build_dense_energy(settings)([prob.log()], *rest)
    torch.testing.assert_close(published, expected * 5.8e-7)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sigma_rgb': 0.0}, 'sigma_rgb must be above 0, got 0.0'),
        ({'sigma_xy': -1.0}, 'sigma_xy must be above 0, got -1.0'),
        ({'backend': 'cuda'}, r"backend must be .*'triton'.*, got 'cuda'"),
        ({'scale_factor': 1.5}, r'scale_factor must be in \(0, 1\], got 1.5'),
        ({'roi': torch.ones(4, 2, 2)}, r'roi .* of 6 x 8 pixels, .* \(4, 2, 2\)'),
        ({'prob': torch.ones(4, 3, 2, 2)}, r'prob .* of shape \(4, 2, 2\)'),
    ],
)
def test_bad_arguments_name_themselves(changes, message):
    args = dict(zip(('prob', 'img', 'roi', 'pseudo'), draw()))
    with pytest.raises(ValueError, match=message):
        dense_energy_loss(**(args | changes))


def test_no_head_at_all_is_refused():
    with pytest.raises(ValueError, match='at least one head'):
        dense_energy_losses([], *draw()[1:])


def slow_sum(feat, values):
    sums = torch.zeros_like(values)
    for i, f_i in enumerate(feat):
        for j, f_j in enumerate(feat):
            sums[:, i] += (
                math.exp(-0.5 * float(((f_i - f_j) ** 2).sum())) * values[:, j]
            )
    return sums


@pytest.mark.parametrize('tile_bytes', [8, 9 * 8, 100 * 8, 2**20])
def test_tiles_of_any_size_give_the_same_sum(tile_bytes):
    generator = torch.Generator().manual_seed(0)
    feat = torch.randn(23, 5, generator=generator).double()
    values = torch.rand(4, 23, generator=generator).double()
    sums = gaussian_sum(feat, values, tile_bytes)
    torch.testing.assert_close(sums, slow_sum(feat, values))


def photograph(n=200):
    """Features of pixels of a photograph, at the published standard deviations."""
    generator = torch.Generator().manual_seed(0)
    place = torch.randint(160, (n, 2), generator=generator) / 50.0
    paint = torch.randint(256, (n, 3), generator=generator) / 15.0
    return torch.cat([place, paint], 1)


def weights_of(feat):
    return torch.exp(-0.5 * torch.cdist(feat.double(), feat.double()) ** 2)


@pytest.mark.parametrize('split', [False, True])
def test_weights_are_exact_in_single_precision(split):
    feat = photograph()
    tile = _PairKernel(feat, 200, split).tile(slice(0, 200), slice(0, 200))
    exact = weights_of(feat)
    torch.testing.assert_close(tile.double(), exact, rtol=1e-4, atol=1e-12)
    assert tile.min() >= torch.finfo(torch.float32).tiny, 'denormal numbers are slow'


def test_weights_are_exact_where_products_round_to_11_bits():
    """As GPUs do if TF32 is allowed."""

    def rounded(x):
        return ((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)

    feat, tiles = photograph(), []
    for split in (True, False):
        kernel = _PairKernel(feat, 200, split)
        kernel.left, kernel.right = rounded(kernel.left), rounded(kernel.right)
        tiles.append(kernel.tile(slice(0, 200), slice(0, 200)).clone().double())
    exact = weights_of(feat)
    torch.testing.assert_close(tiles[0], exact, rtol=1e-4, atol=1e-12)
    assert (tiles[1] / exact - 1).abs().max() > 0.01


def test_far_apart_pixels_do_not_underflow():
    feat = torch.tensor([[0.0] * 5, [1e4] * 5])
    sums = gaussian_sum(feat, torch.tensor([[1.0, 2.0]]))
    torch.testing.assert_close(sums, torch.tensor([[1.0, 2.0]]))


def test_double_precision_is_refused_by_the_kernel():
    with pytest.raises(TypeError, match=r"'triton' needs float32 .* got float64"):
        dense_energy_loss(*draw(), backend='triton')
