"""The Triton kernel of the dense energy, by Triton's interpreter without a GPU."""

import importlib

import pytest
import torch
from helpers.interpreter import interpreted

from mmseg_wsss.models.losses import dense_energy_losses

pytestmark = pytest.mark.extras

CUDA = torch.cuda.is_available()
DEVICE = 'cuda' if CUDA else 'cpu'


@pytest.fixture
def kernel(monkeypatch):
    """The kernel's module, interpreted without a GPU."""
    pytest.importorskip('triton', reason='Triton is not installed (make env-triton)')
    name = 'mmseg_wsss.models.losses.gaussian_sum_triton'
    return importlib.import_module(name) if CUDA else interpreted(monkeypatch, name)


def exact_sums(feat, values):
    """All weights of an image at once, in double precision."""
    feat, values = feat.double().transpose(1, 2), values.double()
    squares = (feat[:, :, None] - feat[:, None]).square().sum(3)
    return values @ torch.exp(-0.5 * squares)


@pytest.mark.parametrize(
    ('num_values', 'num_pixels'), [(1, 1), (3, 63), (16, 64), (21, 65), (70, 150)]
)
def test_sums_of_any_shape(kernel, num_values, num_pixels):
    rng = torch.Generator().manual_seed(num_pixels)
    feat = torch.randn(2, 5, num_pixels, generator=rng)
    values = torch.rand(2, num_values, num_pixels, generator=rng)
    found = kernel.gaussian_sums(feat.to(DEVICE), values.to(DEVICE)).double().cpu()
    torch.testing.assert_close(found, exact_sums(feat, values), rtol=1e-5, atol=1e-6)


def test_one_color_and_one_place(kernel):
    """All weights are 1: every sum is the sum of the values."""
    values = torch.arange(130.0).view(1, 2, 65)
    feat = torch.full((1, 5, 65), 3.0)
    found = kernel.gaussian_sums(feat.to(DEVICE), values.to(DEVICE)).cpu()
    torch.testing.assert_close(found, values.sum(2, keepdim=True).expand_as(values))


def test_nothing_to_sum(kernel):
    feat, values = torch.zeros(2, 5, 9), torch.zeros(2, 0, 9)
    found = kernel.gaussian_sums(feat.to(DEVICE), values.to(DEVICE))
    assert found.shape == (2, 0, 9)


def draw(size):
    rng = torch.Generator().manual_seed(0)
    img = torch.randint(256, (2, 3, *size), generator=rng).float()
    roi = torch.ones(2, *size, dtype=torch.bool)
    roi[0, :, : size[1] // 3] = False
    roi[0, size[0] // 2 :] = False
    pseudo = torch.randint(4, (2, *size), generator=rng)
    heads = [torch.randn(2, k, *size, generator=rng).softmax(1) for k in (3, 2)]
    return heads, img, roi, pseudo.masked_fill(pseudo == 3, 255)


def energies(backend, heads, img, roi, pseudo):
    """Losses of all heads, and their gradients."""
    heads = [head.to(DEVICE).clone().requires_grad_() for head in heads]
    rest = (x.to(DEVICE) for x in (img, roi, pseudo))
    losses = dense_energy_losses(heads, *rest, 60.0, 9.0, backend=backend)
    return losses, torch.autograd.grad(sum(losses), heads)


@pytest.mark.parametrize('size', [(14, 18), (9, 31)])
@pytest.mark.parametrize('case', ['padding', 'flat', 'no roi', 'no label', 'half'])
def test_loss_and_gradient_equal_the_matrix_products(kernel, size, case):
    heads, img, roi, pseudo = draw(size)
    if case == 'flat':
        img[:] = 128
    if case == 'no roi':
        roi[0] = False
    if case == 'no label':
        pseudo[:] = 255
    if case == 'half':
        heads, img = [head.half() for head in heads], img.half()
    args = heads, img, roi, pseudo
    found, expected = energies('triton', *args), energies('matmul', *args)
    rtol = 2**-10 if case == 'half' else 1e-5  # gradients have the type of the heads
    torch.testing.assert_close(found, expected, rtol=rtol, atol=1e-6)
    assert all(loss < 0 for loss in found[0])
    assert all(grad[0].any() == (case != 'no roi') for grad in found[1])
