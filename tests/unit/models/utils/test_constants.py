import pytest
import torch

from mmseg_wsss.models.utils import constant, interpolation_matrices, made_once


def test_equal_calls_share_a_tensor():
    made = []
    ones = made_once(lambda n, dtype: made.append(n) or torch.ones(n).to(dtype))
    assert ones(2, torch.float32) is ones(2, torch.float32)
    assert ones(2, torch.float64).dtype == torch.float64
    assert len(ones(3, torch.float32)) == 3
    assert made == [2, 2, 3]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.int64])
def test_constant_has_the_type_of_a_tensor(dtype):
    found = constant([(1, 2), (3, 4)], torch.zeros(1, dtype=dtype))
    assert torch.equal(found, torch.tensor([[1, 2], [3, 4]], dtype=dtype))


def test_made_in_inference_and_used_in_training():
    like = torch.zeros(1)
    with torch.inference_mode():
        matrices = interpolation_matrices(4, 11, like)
    feat = torch.rand(4, 3, requires_grad=True)
    (matrices[0] @ feat).square().sum().backward()
    assert feat.grad.abs().sum() > 0
    assert interpolation_matrices(4, 11, like) is matrices
