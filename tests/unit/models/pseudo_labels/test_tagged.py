"""Refined labels from CAMs: slow loops, and constants by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.pseudo_labels import (
    all_channels,
    merge_backgrounds,
    random_walk,
    refine_inside,
    refine_probs,
    strongest_labels,
    tagged_probs,
)
from mmseg_wsss.models.refiners import LocalAffinityRefiner

TAGS = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])


def cam_of_tags(size=(6, 7), seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(len(TAGS), TAGS.shape[1], *size, generator=rng)


class TestTaggedProbs:
    def test_against_a_softmax_for_each_pixel(self):
        cam, backgrounds = cam_of_tags(), (0.55, 0.35)
        prob, labels = tagged_probs(cam, TAGS, backgrounds)
        assert labels.tolist() == [[0, 1, 3], [0, 4, -1], [0, -1, -1]]
        assert prob.shape == (3, 2, 3, 6, 7)
        for n, t, row, col in [(0, 0, 1, 2), (0, 1, 5, 6), (1, 1, 0, 3), (2, 0, 2, 2)]:
            classes = [k for k, tag in enumerate(TAGS[n].tolist()) if tag]
            scores = [backgrounds[t], *(cam[n, k, row, col].item() for k in classes)]
            total = sum(math.exp(score) for score in scores)
            expected = [math.exp(score) / total for score in scores]
            expected += [0.0] * (3 - len(scores))
            assert prob[n, t, :, row, col].tolist() == pytest.approx(expected)

    def test_values_of_absent_classes_do_not_matter(self):
        cam = cam_of_tags()
        other = torch.where(TAGS[:, :, None, None] > 0, cam, 100.0)
        assert torch.equal(
            tagged_probs(cam, TAGS, [0.4])[0], tagged_probs(other, TAGS, [0.4])[0]
        )

    def test_no_tag_at_all(self):
        prob, labels = tagged_probs(cam_of_tags(), torch.zeros_like(TAGS), [0.4])
        assert labels.tolist() == [[0]] * 3
        assert torch.equal(prob, torch.ones(3, 1, 1, 6, 7))


@pytest.mark.parametrize('scale', [0.5, 0.3, 1.0])
def test_refinement_inside_images_equals_that_of_each_image_alone(scale):
    rng = torch.Generator().manual_seed(2)
    prob = torch.rand(4, 2, 3, 21, 26, generator=rng)
    img = torch.rand(4, 3, 21, 26, generator=rng) * 255
    boxes = [(0, 21, 0, 26), (3, 20, 5, 26), (20, 21, 0, 9)]
    valid = torch.zeros(4, 21, 26, dtype=torch.bool)  # the last image is all padding
    for inside, (top, bottom, left, right) in zip(valid, boxes):
        inside[top:bottom, left:right] = True
    refiner = LocalAffinityRefiner('varm', (1, 3), num_iters=3)
    expected = prob.clone()
    for i, (top, bottom, left, right) in enumerate(boxes):
        box = slice(i, i + 1), ..., slice(top, bottom), slice(left, right)
        expected[box] = refine_probs(prob[box], img[box], refiner, scale)
    found = refine_inside(prob, img, valid, refiner, scale)
    torch.testing.assert_close(found, expected)
    assert found[~valid[:, None, None].expand_as(found)].equal(
        prob[~valid[:, None, None].expand_as(found)]
    )


class TestRefineProbs:
    @pytest.mark.parametrize('kind', ['par', 'varm'])
    def test_stacked_thresholds_equal_separate_calls_of_each_image(self, kind):
        rng = torch.Generator().manual_seed(1)
        cam, img = cam_of_tags((10, 12)), torch.rand(3, 3, 21, 25, generator=rng) * 255
        refiner = LocalAffinityRefiner(kind, num_iters=3)
        together, labels = tagged_probs(cam, TAGS, (0.55, 0.35))
        together = refine_probs(together, img, refiner)
        found = strongest_labels(together, labels)
        assert together.shape[3:] == found.shape[2:] == (21, 25)
        for n in range(3):
            for t, background in enumerate((0.55, 0.35)):
                prob, label = tagged_probs(
                    cam[n : n + 1], TAGS[n : n + 1], [background]
                )
                guide = F.interpolate(
                    img[n : n + 1] / 255, (10, 12), mode='bilinear', align_corners=False
                )
                maps = refiner(guide, prob[:, 0])
                maps = F.interpolate(maps, (21, 25), mode='bilinear')
                num = maps.shape[1]
                # Sums of one image and of three may be vectorized in another order.
                torch.testing.assert_close(together[n, t, :num], maps[0])
                first, second = maps[0].topk(2, 0).values if num > 1 else (1, 0)
                clear = torch.as_tensor(first - second > 1e-5)
                same = found[n, t] == label[0][maps[0].argmax(0)]
                assert (same | ~clear).all() and clear.float().mean() > 0.9

    def test_a_channel_that_does_not_count_never_wins(self):
        maps = torch.tensor([-2e-4, -3e-4, 0.0]).reshape(1, 1, 3, 1, 1)
        labels = torch.tensor([[0, 4, -1]])
        assert strongest_labels(maps, labels).item() == 0


def slow_walk(prob, affinity, radius, eps=0.1):
    """Both loops over the positions; sums run over the rows of a column."""
    height, width = prob.shape[-2:]
    cells = [(r, c) for r in range(height) for c in range(width)]
    result = torch.zeros_like(prob)
    for n in range(len(prob)):
        for j, (row, col) in enumerate(cells):
            near = [
                i
                for i, (r, c) in enumerate(cells)
                if max(abs(r - row), abs(c - col)) <= radius
            ]
            total = sum(affinity[n, i, j].item() ** 2 for i in near) + eps
            for i in near:
                weight = affinity[n, i, j].item() ** 2 / total
                source = prob[n, :, :, cells[i][0], cells[i][1]]
                result[n, :, :, row, col] += weight * source
    return result


class TestRandomWalk:
    @pytest.mark.parametrize('radius', [1, 2, 8])
    def test_against_loops(self, radius):
        prob = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
        affinity = torch.rand(2, 20, 20, dtype=torch.float64)  # not symmetric
        expected = slow_walk(prob, affinity, radius)
        torch.testing.assert_close(random_walk(prob, affinity, radius), expected)

    def test_identity(self):
        prob = torch.rand(1, 1, 2, 3, 3)
        walked = random_walk(prob, torch.eye(9)[None])
        torch.testing.assert_close(walked, prob / 1.1)


class TestMerging:
    def test_by_hand(self):
        high = torch.tensor([[[0, 0, 3, 3, 2]]])
        low = torch.tensor([[[0, 3, 3, 2, 0]]])
        assert merge_backgrounds(high, low).tolist() == [[[0, 255, 3, 3, 2]]]

    def test_an_image_of_background_alone(self):
        prob, labels = tagged_probs(torch.rand(1, 4, 5, 5), torch.zeros(1, 4), (0.5, 0))
        label = merge_backgrounds(*strongest_labels(prob, labels).unbind(1))
        assert (label == 0).all()

    def test_all_channels(self):
        maps = torch.rand(2, 3, 2, 2)
        full = all_channels(maps, torch.tensor([[0, 2, 4], [0, 1, -1]]), 5)
        assert full.shape == (2, 5, 2, 2)
        assert torch.equal(full[0, [0, 2, 4]], maps[0])
        assert torch.equal(full[1, [0, 1]], maps[1, :2])
        assert full[0, [1, 3]].count_nonzero() == full[1, 2:].count_nonzero() == 0


def test_nothing_has_a_graph():
    cam = cam_of_tags().requires_grad_()
    affinity = torch.rand(3, 42, 42, requires_grad=True)
    prob, _ = tagged_probs(cam, TAGS, (0.5, 0.3))
    assert not prob.requires_grad
    assert not random_walk(prob, affinity).requires_grad
