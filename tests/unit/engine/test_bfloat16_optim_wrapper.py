"""Steps under autocast to bfloat16."""

import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import mmseg_wsss.engine  # noqa: F401
from mmseg_wsss.models.segmentors.semi.parts.pseudo_labels import PseudoLabels


def test_forward_in_bfloat16_and_weights_in_float32():
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3)
    start = model.weight.detach().clone()
    cfg = dict(type='BFloat16OptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    wrapper = build_optim_wrapper(model, cfg)
    images = torch.randn(2, 3, 5, 5)
    with wrapper.optim_context(model):
        output = model(images)
    assert output.dtype == torch.bfloat16
    assert model(images).dtype == torch.float32
    exact = model(images)
    torch.testing.assert_close(output.float(), exact, rtol=2e-2, atol=2e-2)
    assert not torch.equal(output.float(), exact)
    (grad,) = torch.autograd.grad(exact.square().mean(), model.weight)
    wrapper.update_params(output.float().square().mean())
    assert model.weight.dtype == torch.float32
    expected = start - 0.5 * grad
    torch.testing.assert_close(model.weight.detach(), expected, rtol=2e-2, atol=2e-2)


def test_accumulates_gradients():
    model = nn.Linear(2, 1, bias=False)
    start = model.weight.detach().clone()
    cfg = dict(
        type='BFloat16OptimWrapper',
        optimizer=dict(type='SGD', lr=1.0),
        accumulative_counts=2,
    )
    wrapper = build_optim_wrapper(model, cfg)
    wrapper.initialize_count_status(model, 0, 4)
    for _ in range(2):
        assert torch.equal(model.weight, start)
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 2)).sum()
        wrapper.update_params(loss.float())
    torch.testing.assert_close(model.weight.detach(), start - 1)


def test_confidences_are_float32_under_autocast():
    logits = torch.tensor([2.0, 0.5]).reshape(1, 2, 1, 1).bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        found = PseudoLabels.of_logits(logits)
    expected = torch.tensor(1 / (1 + torch.tensor(-1.5).exp().item()))
    torch.testing.assert_close(found.conf.flatten()[0], expected)
