"""Fusion of probabilities and CAMs under the tags."""

import itertools

import pytest
import torch

from mmseg_wsss.models.pseudo_labels import fuse_cam

CONSTANTS = {'bg_alpha': 2.0, 'weight': 1.5, 'floor': 0.2}
TAGS = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])


def maps(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities, and CAMs with an empty map of a tagged class."""
    rng = torch.Generator().manual_seed(0)
    prob = torch.randn(3, channels, 4, 5, generator=rng).mul(3).softmax(1)
    cam = torch.rand(3, 3, 4, 5, generator=rng)
    cam[2, 1] = 0
    return prob, cam


def slow(prob, cam, tags, bg_alpha, weight, floor):
    """The fusion, pixel by pixel."""
    count, channels, height, width = prob.shape
    first = channels - tags.shape[1]
    fused = torch.zeros_like(prob)
    for i, y, x in itertools.product(range(count), range(height), range(width)):
        present = [k for k in range(tags.shape[1]) if tags[i, k]]
        strongest = max((float(cam[i, k, y, x]) for k in present), default=0.0)
        background = (1 - strongest) ** bg_alpha
        scores = {0: background} if first else {}
        for k in present:
            empty = first and not cam[i, k].any()
            scores[k + first] = background if empty else float(cam[i, k, y, x])
        values = {
            c: float(prob[i, c, y, x]) * max(score, floor) ** weight
            for c, score in scores.items()
        }
        for c, value in values.items():
            fused[i, c, y, x] = value / sum(values.values())
    return fused


@pytest.mark.parametrize('channels', [4, 3], ids=['background', 'no background'])
def test_equals_the_formula_pixel_by_pixel(channels):
    prob, cam = maps(channels)
    fused = fuse_cam(prob, cam, TAGS, **CONSTANTS)
    torch.testing.assert_close(fused, slow(prob, cam, TAGS, **CONSTANTS))


def test_without_a_cam_it_is_the_prediction_among_the_tags():
    prob, cam = maps(4)
    expected = prob * torch.cat([torch.ones(3, 1), TAGS], 1)[:, :, None, None]
    expected = expected / expected.sum(1, keepdim=True)
    for fused in (
        fuse_cam(prob, torch.zeros_like(cam), TAGS),
        fuse_cam(prob, cam, TAGS, weight=0.0),
        fuse_cam(prob, cam, TAGS, floor=1.0),
    ):
        torch.testing.assert_close(fused, expected)


def test_without_a_tag_it_is_background_or_nothing():
    none = torch.zeros(3, 3)
    fused = fuse_cam(*maps(4), none)
    assert (fused[:, 0] == 1).all() and not fused[:, 1:].any()
    assert not fuse_cam(*maps(3), none).any()


def test_extreme_probabilities_stay_finite():
    prob = torch.tensor([0.0, 1.0, 0.0]).view(1, 3, 1, 1)  # an absent class alone
    cam = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    fused = fuse_cam(prob, cam, torch.tensor([[0, 1]]), weight=60.0)
    torch.testing.assert_close(fused.flatten(), torch.tensor([0.0, 0.0, 1.0]))


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'bg_alpha': 0.0}, 'bg_alpha must be above 0'),
        ({'weight': -1.0}, 'weight must be at least 0'),
        ({'floor': 0.0}, 'floor must be above 0'),
        ({'floor': 1.5}, 'floor must be at most 1'),
    ],
)
def test_constants_out_of_range(wrong, message):
    with pytest.raises(ValueError, match=message):
        fuse_cam(*maps(4), TAGS, **wrong)


def test_other_numbers_of_channels():
    prob, cam = maps(5)
    with pytest.raises(ValueError, match='5 channels and tags have 3 classes'):
        fuse_cam(prob, cam, TAGS)
