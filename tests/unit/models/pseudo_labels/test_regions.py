"""Regions and prototypes against loops over pixels."""

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.pseudo_labels import (
    leave_one_out,
    region_labels,
    regional_prototypes,
)


def slow_prototypes(feat, region, num_classes):
    """Upsample, bring to length 1, add up pixel by pixel."""
    full = F.interpolate(feat, region.shape[1:], mode='bilinear', align_corners=False)
    result = torch.zeros(len(feat), num_classes, feat.shape[1], dtype=feat.dtype)
    for n, row, col in torch.cartesian_prod(*map(torch.arange, region.shape)).tolist():
        pixel, label = full[n, :, row, col], int(region[n, row, col])
        if label < num_classes and pixel.norm() > 0:
            result[n, label] += pixel / pixel.norm()
    lengths = result.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, result / lengths, 0.0)


def test_the_threshold_belongs_to_the_foreground():
    cam = torch.zeros(1, 2, 1, 4, dtype=torch.float64)
    cam[0, 0, 0] = torch.tensor([10.0, 3.0001, 2.9999, 0.0], dtype=torch.float64)
    cam[0, 1, 0, 3] = 4.0
    tags = torch.ones(1, 2)
    assert region_labels(cam, tags).tolist() == [[[0, 0, 2, 1]]]
    value = float(cam[0, 0, 0, 1] / (10 + 1e-5))
    assert region_labels(cam, tags, value)[0, 0, 1] == 0  # at the threshold: `>=`
    with pytest.raises(ValueError, match='above 0, got 0'):
        region_labels(cam, tags, 0)


def test_only_tagged_classes_appear():
    cam = torch.rand(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    tags = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]])
    labels = region_labels(cam, tags, 0.3)
    assert set(labels[0].unique().tolist()) == {1, 4}
    assert labels[1].eq(4).all()
    assert {0, 3} <= set(labels[2].unique().tolist()) <= {0, 3, 4}


@pytest.mark.parametrize('size', [(9, 13), (4, 3)])
@pytest.mark.parametrize('signed', [False, True])
def test_prototypes_are_those_of_full_resolution(size, signed):
    rng = torch.Generator().manual_seed(0)
    feat = torch.randn(2, 5, 4, 3, generator=rng, dtype=torch.float64)
    feat = feat if signed else feat.relu()
    feat[0, :, :2, :2] = 0  # pixels without a direction
    region = torch.randint(4, (2, *size), generator=rng)
    region[1, :2] = 255
    region[region == 1] = 2  # an empty region
    expected = slow_prototypes(feat, region, 4)
    for chunk_size in (1, 2**14):
        found = regional_prototypes(feat, region, 4, chunk_size)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    lengths = found.norm(dim=-1)
    assert ((lengths == 0) | ((lengths - 1).abs() < 1e-9)).all()
    assert (lengths[:, 1] == 0).all()


def test_prototypes_of_half_precision_features():
    feat = torch.rand(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    region = torch.arange(64).view(1, 8, 8) % 3
    half = regional_prototypes(feat.bfloat16(), region, 3)
    assert half.dtype == torch.float32
    exact = regional_prototypes(feat.bfloat16().double(), region, 3)
    torch.testing.assert_close(half.double(), exact, rtol=1e-5, atol=1e-5)


def test_an_image_does_not_see_itself():
    rng = torch.Generator().manual_seed(0)
    own = F.normalize(torch.rand(3, 2, 4, generator=rng), dim=-1)
    own[0, 1] = own[2, 1] = 0  # class 1 is on the second image only
    others = leave_one_out(own)
    for i in range(3):
        rest = torch.stack([own[j] for j in range(3) if j != i]).mean(0)
        expected = F.normalize(rest, dim=-1)
        torch.testing.assert_close(others[i], expected)
    assert others[1, 1].eq(0).all()
    assert torch.equal(others[0, 1], others[2, 1])
    changed = own.clone()
    changed[1] = F.normalize(torch.rand(2, 4, generator=rng), dim=-1)
    assert torch.equal(leave_one_out(changed)[1], others[1])


def test_an_image_alone_has_no_prototype():
    assert leave_one_out(F.normalize(torch.ones(1, 3, 4), dim=-1)).eq(0).all()
