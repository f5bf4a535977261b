"""The loss of MAM: literal loops and maps with known cosines."""

import math

import pytest
import torch
from helpers import LossTester

from mmseg_wsss.models.losses import multi_scale_attentive_loss
from mmseg_wsss.registry import MODELS


def slow_loss(main, support):
    """Of scales stacked in dimension 1: (N, S, K, H, W) and (N, R, K, H, W)."""
    n, scales, classes, height, width = main.shape
    spots = [(y, x) for y in range(height) for x in range(width)]
    total = 0.0
    for s in range(scales):
        for b in range(n):
            for c in range(classes):
                a = [main[b, s, c, y, x].item() for y, x in spots]
                target = [0.0] * len(spots)
                for r in range(support.shape[1]):
                    other = [support[b, r, c, y, x].item() for y, x in spots]
                    norms = math.hypot(*a) * math.hypot(*other)
                    dot = sum(p * q for p, q in zip(a, other))
                    weight = 2 - (dot / norms if norms else 0)
                    for i, value in enumerate(other):
                        target[i] += weight * value / support.shape[1]
                error = sum(abs(t - v) for t, v in zip(target, a))
                total += error / (n * classes * len(spots))
    return total


def stacked(main, support):
    return multi_scale_attentive_loss(main.unbind(1), support.unbind(1))


def slow_gradient(main, support):
    """The target is a constant: minus the sign of the error, over the mean's count."""
    grad = torch.zeros_like(main)
    for s in range(main.shape[1]):
        norm = main[:, s].flatten(2).norm(dim=2)
        target = 0
        for r in range(support.shape[1]):
            other = support[:, r]
            product = norm * other.flatten(2).norm(dim=2)
            dot = (main[:, s] * other).sum((2, 3))
            cosine = torch.where(product > 0, dot / product.clamp(min=1e-30), 0.0)
            target = target + (2 - cosine)[..., None, None] * other / support.shape[1]
        grad[:, s] = -(target - main[:, s]).sign() / main[:, s].numel()
    return grad


class TestMultiScaleAttentiveLoss(LossTester):
    loss = staticmethod(stacked)
    reference = staticmethod(slow_loss)
    gradient = staticmethod(slow_gradient)

    def inputs(self):
        generator = torch.Generator().manual_seed(0)
        main, support = (
            torch.rand(4, scales, 2, 3, 4, generator=generator, dtype=torch.float64)
            for scales in (3, 2)
        )
        support[1, 0, 1], main[2, 1, 0], main[3, :, 1], support[3, :, 1] = 0, 0, 0, 0
        return {'three scales to two': (main, support)}


def cam(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


def test_equal_maps_have_weight_one():
    assert multi_scale_attentive_loss([cam(1.0, 2.0)], [cam(1.0, 2.0)]) < 1e-6


def test_disjoint_maps_have_weight_two():
    """The target is twice the support: |2 * 3 - 0| and |0 - 1|, over 2 pixels."""
    loss = multi_scale_attentive_loss([cam(0.0, 1.0)], [cam(3.0, 0.0)])
    assert loss.item() == 3.5


def test_map_of_zeros_has_weight_two():
    assert multi_scale_attentive_loss([cam(0.0, 0.0)], [cam(3.0, 4.0)]).item() == 7.0
    assert multi_scale_attentive_loss([cam(3.0, 4.0)], [cam(0.0, 0.0)]).item() == 3.5


def test_mean_over_supports_and_sum_over_main_scales():
    main, support = cam(0.0, 1.0), cam(3.0, 0.0)
    loss = multi_scale_attentive_loss([main] * 3, [support, support])
    assert loss.item() == 3 * 3.5
    halved = multi_scale_attentive_loss([main], [support, torch.zeros_like(support)])
    assert halved.item() == (3 + 1) / 2


def test_plain_mean_as_the_target():
    main, support = cam(0.0, 1.0), cam(3.0, 0.0)
    loss = multi_scale_attentive_loss([main], [support, 3 * support], False)
    assert loss.item() == (6 + 1) / 2


def test_no_gradient_into_the_target():
    main = cam(0.0, 1.0).requires_grad_()
    support = cam(3.0, 0.0).requires_grad_()
    multi_scale_attentive_loss([main], [support]).backward()
    assert support.grad is None
    assert main.grad.flatten().tolist() == [-0.5, 0.5]


def test_tiny_and_huge_maps_keep_their_angle():
    for factor in (1e-15, 1e15):
        value = cam(1.0, 1.0) * factor
        loss = multi_scale_attentive_loss([value], [cam(1.0, 0.0)])
        weight = 2 - 0.5**0.5
        expected = ((value - cam(weight, 0.0)).abs()).mean()
        torch.testing.assert_close(loss, expected)


def test_module_and_its_config():
    loss = MODELS.build(dict(type='MultiScaleAttentiveLoss', loss_weight=0.5))
    assert loss([cam(0.0, 1.0)], [cam(3.0, 0.0)]).item() == 0.5 * 3.5


@pytest.mark.parametrize(
    'main, support',
    [
        ([], [cam(1.0)]),
        ([cam(1.0)], []),
        ([cam(1.0)], [cam(1.0, 2.0)]),
    ],
)
def test_bad_inputs(main, support):
    with pytest.raises(ValueError, match=f'{len(main)} main and {len(support)} supp'):
        multi_scale_attentive_loss(main, support)


@pytest.mark.parametrize('dissimilarity', [True, False])
def test_module_passes_its_settings(dissimilarity):
    rng = torch.Generator().manual_seed(0)
    main, support = torch.rand(2, 1, 2, 3, 4, 4, generator=rng).unbind(0)
    main, support = main.unbind(1), support.unbind(1)
    cfg = {'loss_weight': 2.0, 'dissimilarity': dissimilarity}
    module = MODELS.build({'type': 'MultiScaleAttentiveLoss', **cfg})
    weighted, plain = (
        multi_scale_attentive_loss(main, support, flag) for flag in (True, False)
    )
    assert not torch.isclose(weighted, plain)
    expected = 2 * (weighted if dissimilarity else plain)
    torch.testing.assert_close(module(main, support), expected)
