"""The Triton kernels of LocalAffinityRefiner, by Triton's interpreter without a GPU."""

import importlib

import pytest
import torch
from helpers.interpreter import interpreted

from mmseg_wsss.models.refiners import LocalAffinityRefiner, local_affinity_refiner
from mmseg_wsss.models.refiners.local_affinity_ops import neighbor_offsets

pytestmark = pytest.mark.extras

CUDA = torch.cuda.is_available()
DEVICE = 'cuda' if CUDA else 'cpu'


@pytest.fixture
def kernel(monkeypatch):
    """The kernel's module, interpreted without a GPU."""
    pytest.importorskip('triton', reason='Triton is not installed (make env-triton)')
    name = 'mmseg_wsss.models.refiners.local_affinity_triton'
    return importlib.import_module(name) if CUDA else interpreted(monkeypatch, name)


def images(num=2, channels=5, size=(13, 11)):
    rng = torch.Generator().manual_seed(0)
    img = torch.rand(num, 3, *size, generator=rng).to(DEVICE)
    return img, torch.rand(num, channels, *size, generator=rng).to(DEVICE)


@pytest.mark.parametrize('kind', ['par', 'varm'])
@pytest.mark.parametrize('num_iters', [1, 3])
@pytest.mark.parametrize('size', [(13, 11), (1, 1), (2, 30), (70, 5)])
def test_kernel_equals_eager(kernel, kind, num_iters, size):
    img, mask = images(size=size)
    found, expected = (
        LocalAffinityRefiner(kind, (1, 4, 24), num_iters, backend=backend)(img, mask)
        for backend in ('triton', 'eager')
    )
    # Half precision rounds each weight by up to 2**-11 of itself, in each step.
    torch.testing.assert_close(found, expected, rtol=num_iters * 2**-11, atol=1e-4)


def sizes_of(num, size):
    return torch.tensor([size] * num, dtype=torch.int32, device=DEVICE)


def test_steps_with_exact_weights(kernel):
    """Weights that half precision holds exactly: nothing but the order of sums."""
    rng = torch.Generator().manual_seed(0)
    offsets = ((0, 1), (-2, 0), (3, -3))
    weights = torch.randint(0, 5, (2, 3, 6, 7), generator=rng).half() / 8
    mask = torch.rand(2, 5, 6, 7, generator=rng)
    args = weights.to(DEVICE), sizes_of(2, (6, 7)), offsets, 2
    found = kernel.propagate(mask.to(DEVICE), *args)
    expected = mask
    for _ in range(2):
        total = torch.zeros_like(expected)
        for k, (dy, dx) in enumerate(offsets):
            rows = (torch.arange(6) + dy).clamp(0, 5)
            columns = (torch.arange(7) + dx).clamp(0, 6)
            total += weights[:, k : k + 1] * expected[:, :, rows][..., columns]
        expected = total
    torch.testing.assert_close(found.cpu(), expected)


@pytest.mark.parametrize('terms', [(0.3, 0.0, 0.0), (0.3, 0.5, 0.0), (0.25, 0.2, 0.5)])
@pytest.mark.parametrize('dilations', [(1,), (2, 3, 7)])
@pytest.mark.parametrize('case', ['noise', 'flat', 'odd pixel', 'gray'])
def test_weights_are_the_formula(kernel, terms, dilations, case):
    """In double precision, term by term; K = 8 and 24 (of a tile of 32)."""
    bandwidth, pos_weight, var_weight = terms
    img = images(2, size=(9, 11))[0]
    if case == 'flat':
        img = torch.full_like(img, 0.3)
    if case == 'odd pixel':
        img = 0.5 + (img * 4).round() * 2.0**-12
        img[:, :2, 4, 5] = 1.0
    if case == 'gray':
        img[:, 1] = 0.25
    offsets = neighbor_offsets(dilations)
    found = kernel.affinity_weights(img, sizes_of(2, (9, 11)), offsets, *terms)
    img = img.cpu().double()
    rows, columns = torch.arange(9), torch.arange(11)
    stack = torch.stack(
        [
            img[:, :, (rows + y).clamp(0, 8)][..., (columns + x).clamp(0, 10)]
            for y, x in offsets
        ]
    )
    gap = (stack - img) / (stack.std(0) + 1e-8) / bandwidth
    expected = (-gap.square().mean(2)).softmax(0)
    radius = torch.tensor(offsets).double().square().sum(1).sqrt()
    position = (-((radius / radius.std() / 0.3) ** 2)).softmax(0)
    expected += pos_weight * position[:, None, None, None]
    down, right = torch.zeros_like(stack), torch.zeros_like(stack)
    down[..., :-1, :] = stack[..., :-1, :] - stack[..., 1:, :]
    right[..., :-1] = stack[..., :-1] - stack[..., 1:]
    variation = (down.square() + right.square()).mean(2).softmax(0)
    expected = (expected - var_weight * variation).transpose(0, 1)
    # Half precision rounds by 2**-11; differences of flat channels are those of float.
    torch.testing.assert_close(found.double().cpu(), expected, rtol=2**-10, atol=2e-5)


@pytest.mark.parametrize('kind', ['par', 'varm'])
def test_images_of_several_sizes(kernel, kind):
    """Each as if it were alone."""
    img, mask = images(3, size=(13, 19))
    sizes = [(13, 19), (5, 19), (8, 1)]
    refine = LocalAffinityRefiner(kind, (1, 4), 2, backend='triton')
    given = torch.tensor(sizes, device=DEVICE)
    found = refine(img, mask, given)
    for i, (height, width) in enumerate(sizes):
        part = slice(i, i + 1), slice(None), slice(height), slice(width)
        assert found[part].equal(refine(img[part], mask[part]))


def test_the_input_stays(kernel):
    img, mask = images()
    before = mask.clone()
    LocalAffinityRefiner('par', (1,), 4, backend='triton')(img, mask)
    assert torch.equal(mask, before)


def test_double_precision_is_refused():
    img, mask = images()
    with pytest.raises(TypeError, match=r"'triton' needs float32, got .*float64"):
        LocalAffinityRefiner(backend='triton')(img.double(), mask.double())


class FakeMask:
    dtype = torch.float32

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)

    def numel(self) -> int:
        return 10


@pytest.mark.parametrize(
    ('device', 'installed', 'way'),
    [
        ('cuda', True, 'triton'),
        ('cuda', False, 'eager'),
        ('cpu', True, 'eager'),
    ],
)
def test_choice(monkeypatch, device, installed, way):
    monkeypatch.setattr(local_affinity_refiner, '_has_triton', lambda: installed)
    monkeypatch.setattr(local_affinity_refiner, '_failed_devices', set())
    assert LocalAffinityRefiner()._way(FakeMask(device)) == way
    local_affinity_refiner._failed_devices.add(device)
    assert LocalAffinityRefiner()._way(FakeMask(device)) == 'eager'
