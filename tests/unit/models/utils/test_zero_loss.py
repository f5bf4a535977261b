"""A loss of 0 is a tensor, whatever requires a gradient."""

import torch
from helpers.tiny import tiny_batch, tiny_network

from mmseg_wsss.models.utils import zero_loss


def test_a_zero_gradient_for_every_tensor_that_requires_one():
    tensors = [torch.full((2,), 6e4, dtype=torch.float16), torch.ones(3), torch.ones(1)]
    for tensor in tensors[:2]:
        tensor.requires_grad_()
    loss = zero_loss(iter(tensors))
    assert loss == 0
    loss.backward()
    for tensor in tensors[:2]:
        assert tensor.grad.equal(torch.zeros_like(tensor))
    assert tensors[2].grad is None


def test_tensors_without_gradient_give_a_tensor_of_their_device():
    loss = zero_loss([torch.ones(2, device='meta')])
    assert (loss.shape, loss.device.type) == ((), 'meta')


def test_a_frozen_backbone_with_several_maps_trains_its_classifier():
    model = tiny_network('CAM')
    model.backbone.requires_grad_(False)
    total, values = model.parse_losses(model.loss(*tiny_batch(2)))
    total.backward()
    assert values['loss_idle'] == 0
    assert model.cam_head.classifier.weight.grad.abs().sum() > 0
