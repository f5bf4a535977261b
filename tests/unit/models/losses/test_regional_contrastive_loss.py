"""The loss of RCM: the full-resolution formula, chunks, constants."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers import LossTester

from mmseg_wsss.models.losses import regional_contrastive_loss
from mmseg_wsss.registry import MODELS


def upsampled(feat, size):
    """Bilinear, align_corners=False, pixel by pixel."""
    _, channels, height, width = feat.shape
    result = feat.new_zeros(len(feat), channels, *size)
    for y in range(size[0]):
        row = max((y + 0.5) * height / size[0] - 0.5, 0)
        top, below = int(row), min(int(row) + 1, height - 1)
        for x in range(size[1]):
            column = max((x + 0.5) * width / size[1] - 0.5, 0)
            left, right = int(column), min(int(column) + 1, width - 1)
            a, b = row - top, column - left
            result[:, :, y, x] = (
                (1 - a) * (1 - b) * feat[:, :, top, left]
                + (1 - a) * b * feat[:, :, top, right]
                + a * (1 - b) * feat[:, :, below, left]
                + a * b * feat[:, :, below, right]
            )
    return result


def unit(vector):
    norm = math.sqrt(sum(a * a for a in vector))
    return [a / norm if norm else 0.0 for a in vector]


def slow_loss(feat, prototypes, region, scale=2.0):
    """Softmax over prototypes, pixel by pixel."""
    feat = upsampled(feat, region.shape[1:])
    losses = []
    for b in range(len(feat)):
        own = prototypes[b] if prototypes.dim() == 3 else prototypes
        targets = [unit(p.tolist()) for p in own]
        for y in range(region.shape[1]):
            for x in range(region.shape[2]):
                label = region[b, y, x].item()
                if label == 255:
                    continue
                f = unit(feat[b, :, y, x].tolist())
                z = [scale * sum(p * q for p, q in zip(f, t)) for t in targets]
                losses.append(math.log(sum(math.exp(v) for v in z)) - z[label])
    return sum(losses) / max(len(losses), 1)


def small_chunks(feat, prototypes, region):
    return regional_contrastive_loss(feat, prototypes, region, chunk_size=10)


def batch(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    feat = torch.rand(4, 3, 3, 2, generator=generator, dtype=torch.float64)
    prototypes = torch.randn(4, 5, 3, generator=generator, dtype=torch.float64)
    prototypes[:, 2], prototypes[1] = 0, 3 * prototypes[0]
    region = torch.randint(0, 5, (4, *size), generator=generator)
    region[0, 0], region[1, :, 0] = 255, 255
    return feat, prototypes, region


class TestRegionalContrastiveLoss(LossTester):
    loss = staticmethod(small_chunks)
    reference = staticmethod(slow_loss)
    blank = (2, 255)
    splits = ((1, 3),)

    def inputs(self):
        return {'one size': batch((3, 2)), 'upsampled': batch((5, 7))}


@pytest.mark.parametrize('size', [(3, 2), (6, 4), (7, 3), (1, 1), (2, 5)])
@pytest.mark.parametrize('signed', [False, True])
def test_full_resolution_formula(size, signed):
    """Value and gradient equal those of features that are really upsampled."""
    feat, prototypes, region = batch(size, seed=1)
    feat = (feat - 0.3 * signed).requires_grad_()
    prototypes = prototypes[0]
    loss = regional_contrastive_loss(feat, prototypes, region, scale=5.0)
    full = F.interpolate(feat, size, mode='bilinear', align_corners=False)
    logits = torch.einsum(
        'ndhw,kd->nkhw', F.normalize(full, dim=1), 5 * F.normalize(prototypes, dim=1)
    )
    if (region == 255).all():
        expected = 0 * logits.sum()
    else:
        expected = F.cross_entropy(logits, region, ignore_index=255)
    torch.testing.assert_close(loss, expected)
    (grad,) = torch.autograd.grad(loss, feat)
    torch.testing.assert_close(grad, *torch.autograd.grad(expected, feat))


@pytest.mark.parametrize('size', [(3, 2), (9, 9)])
def test_chunks_do_not_matter(size):
    feat, prototypes, region = batch(size)
    whole = regional_contrastive_loss(feat, prototypes, region)
    for chunk_size in (1, 17, 10**6):
        loss = regional_contrastive_loss(
            feat, prototypes, region, chunk_size=chunk_size
        )
        torch.testing.assert_close(loss, whole)


@pytest.mark.parametrize('size', [(4, 4), (9, 7)])
def test_prototypes_of_zeros(size):
    """Every class is as likely: log 21."""
    feat = torch.rand(2, 8, 4, 4)
    region = torch.randint(0, 21, (2, *size))
    loss = regional_contrastive_loss(feat, torch.zeros(21, 8), region)
    assert loss.item() == pytest.approx(math.log(21))


def test_features_of_zeros_have_no_direction_and_no_gradient():
    feat = torch.zeros(1, 4, 2, 2, requires_grad=True)
    region = torch.zeros(1, 5, 5, dtype=torch.int64)
    loss = regional_contrastive_loss(feat, torch.rand(3, 4), region)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(3))
    assert (feat.grad == 0).all()


def test_by_hand():
    """Cosines 1 and 0, twice: -log(e^2 / (e^2 + 1)) where it is right."""
    feat = torch.tensor([[5.0, 0.0]]).view(1, 2, 1, 1)
    prototypes = torch.tensor([[7.0, 0.0], [0.0, 0.1]])
    for label, expected in (
        (0, math.log1p(math.exp(-2))),
        (1, math.log1p(math.exp(2))),
    ):
        region = torch.full((1, 1, 1), label)
        loss = regional_contrastive_loss(feat, prototypes, region)
        assert loss.item() == pytest.approx(expected)


def test_no_gradient_into_the_prototypes():
    feat, prototypes, region = batch((3, 2))
    prototypes.requires_grad_()
    regional_contrastive_loss(feat.requires_grad_(), prototypes, region).backward()
    assert prototypes.grad is None and feat.grad.abs().sum() > 0


def test_module_and_its_config():
    loss = MODELS.build(
        dict(type='RegionalContrastiveLoss', loss_weight=0.5, scale=3.0)
    )
    args = batch((3, 2))
    torch.testing.assert_close(
        loss(*args), 0.5 * regional_contrastive_loss(*args, scale=3.0)
    )


@pytest.mark.parametrize(
    'shapes',
    [
        ((2, 3, 4), (5, 3), (2, 4, 4)),
        ((2, 3, 4, 4), (5, 4), (2, 4, 4)),
        ((2, 3, 4, 4), (3, 5, 3), (2, 4, 4)),
        ((2, 3, 4, 4), (5, 3), (1, 4, 4)),
        ((2, 3, 4, 4), (5, 3), (2, 1, 4, 4)),
    ],
)
def test_bad_shapes(shapes):
    feat, prototypes, region = (torch.zeros(shape) for shape in shapes)
    with pytest.raises(ValueError, match='expected features'):
        regional_contrastive_loss(feat, prototypes, region.long())
