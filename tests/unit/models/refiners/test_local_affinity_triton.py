"""The Triton kernel of LocalAffinityRefiner, by Triton's interpreter without a GPU."""

import pytest
import torch

from mmseg_wsss.models.refiners import LocalAffinityRefiner, local_affinity_refiner

pytestmark = pytest.mark.extras

CUDA = torch.cuda.is_available()
DEVICE = 'cuda' if CUDA else 'cpu'


@pytest.fixture
def kernel(monkeypatch):
    """The kernel's module, interpreted without a GPU."""
    pytest.importorskip('triton', reason='Triton is not installed (make env-triton)')
    if not CUDA:
        monkeypatch.setenv('TRITON_INTERPRET', '1')  # read when kernels are made
    from mmseg_wsss.models.refiners import local_affinity_triton

    return local_affinity_triton


def images(num=2, channels=5, size=(13, 11)):
    rng = torch.Generator().manual_seed(0)
    img = torch.rand(num, 3, *size, generator=rng).to(DEVICE)
    return img, torch.rand(num, channels, *size, generator=rng).to(DEVICE)


@pytest.mark.parametrize('kind', ['par', 'varm'])
@pytest.mark.parametrize('num_iters', [1, 2, 3])
@pytest.mark.parametrize('size', [(13, 11), (1, 1), (2, 30), (70, 5)])
def test_kernel_equals_eager(kernel, kind, num_iters, size):
    img, mask = images(size=size)
    found, expected = (
        LocalAffinityRefiner(kind, (1, 4, 24), num_iters, backend=backend)(img, mask)
        for backend in ('triton', 'eager')
    )
    # Half precision rounds each weight by up to 2**-11 of itself, in each step.
    torch.testing.assert_close(found, expected, rtol=num_iters * 2**-11, atol=1e-4)


def test_kernel_with_exact_weights(kernel):
    """Weights that half precision holds exactly: nothing but the order of sums."""
    rng = torch.Generator().manual_seed(0)
    offsets = ((0, 1), (-2, 0), (3, -3))
    weights = torch.randint(0, 5, (2, 3, 6, 7), generator=rng).float() / 8
    mask = torch.rand(2, 5, 6, 7, generator=rng)
    found = kernel.propagate(mask.to(DEVICE), weights.to(DEVICE), offsets, 2)
    expected = mask
    for _ in range(2):
        total = torch.zeros_like(expected)
        for k, (dy, dx) in enumerate(offsets):
            rows = (torch.arange(6) + dy).clamp(0, 5)
            columns = (torch.arange(7) + dx).clamp(0, 6)
            total += weights[:, k : k + 1] * expected[:, :, rows][..., columns]
        expected = total
    torch.testing.assert_close(found.cpu(), expected)


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
