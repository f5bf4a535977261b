"""Votes of class-free masks against a loop over pixels and against cases by hand."""

import pytest
import torch

from mmseg_wsss.models.pseudo_labels import keep_tagged, vote_regions

TAGS = torch.tensor([1, 0, 1])  # classes 1 and 3
PSEUDO = torch.tensor([[0, 0, 1, 1], [2, 3, 3, 255]])


def positions(*rows: list[int]) -> torch.Tensor:
    return torch.tensor(rows).flatten().nonzero()[:, 0]


def slow_votes(masks, pseudo, tags, background):
    """Count pixel by pixel; every pixel then looks for the smallest mask on it."""
    height, width = pseudo.shape
    offset = int(background)
    allowed = {k + offset for k in range(len(tags)) if tags[k]} | set(range(offset))
    labels = []
    for mask in masks:
        count: dict[int, int] = {}
        for y in range(height):
            for x in range(width):
                label = int(pseudo[y, x])
                if mask[y, x] and label in allowed:
                    count[label] = count.get(label, 0) + 1
        best = max(count.values(), default=0)
        labels.append(min((k for k in count if count[k] == best), default=255))
    result = torch.full_like(pseudo, 255)
    for y in range(height):
        for x in range(width):
            smallest = None
            for mask, label in zip(masks, labels):
                if mask[y, x] and label != 255:
                    area = int(mask.sum())
                    if smallest is None or area <= smallest:
                        smallest, result[y, x] = area, label
    return result


@pytest.mark.parametrize('background', [True, False])
@pytest.mark.parametrize('seed', range(8))
def test_votes_equal_a_loop_over_pixels(seed, background):
    torch.manual_seed(seed)
    num_classes = 3 + background
    pseudo = torch.randint(0, num_classes, (6, 7))
    pseudo[torch.rand(6, 7) < 0.2] = 255
    tags = torch.randint(0, 2, (3,))
    masks = torch.rand(12, 6, 7) < torch.rand(12, 1, 1) ** 2
    regions = [mask.flatten().nonzero()[:, 0] for mask in masks]
    found = vote_regions(regions, pseudo, tags, background)
    assert torch.equal(found, slow_votes(masks, pseudo, tags, background))


def test_a_smaller_mask_lies_on_top_of_a_larger_one():
    whole = positions([1, 1, 1, 1], [1, 1, 1, 1])  # 0, 1 and 3 have two votes: 0 wins
    corner = positions([0, 0, 1, 1], [0, 0, 0, 0])
    expected = [[0, 0, 1, 1], [0, 0, 0, 0]]
    for regions in ([whole, corner], [corner, whole]):
        assert vote_regions(regions, PSEUDO, TAGS).tolist() == expected


def test_of_two_masks_of_one_size_the_later_lies_on_top():
    first = positions([1, 1, 0, 0], [0, 0, 0, 0])
    second = positions([0, 1, 1, 0], [0, 0, 0, 0])
    pseudo = torch.tensor([[0, 3, 1, 1], [0, 0, 0, 0]])
    assert vote_regions([first, second], pseudo, TAGS)[0].tolist() == [0, 1, 1, 255]
    assert vote_regions([second, first], pseudo, TAGS)[0].tolist() == [0, 0, 1, 255]


def test_absent_classes_and_ignored_pixels_do_not_vote():
    corners = positions([0, 0, 0, 0], [1, 0, 0, 1])  # labels 2 (absent) and 255
    whole = positions([0, 0, 1, 0], [1, 0, 0, 1])
    assert (vote_regions([corners], PSEUDO, TAGS) == 255).all()
    found = vote_regions([whole, corners], PSEUDO, TAGS)  # corners hide nothing
    assert found.tolist() == [[255, 255, 1, 255], [1, 255, 255, 1]]


def test_no_masks_empty_masks_and_one_mask_of_everything():
    everything = torch.arange(8)
    empty = everything[:0]
    assert (vote_regions([], PSEUDO, TAGS) == 255).all()
    assert (vote_regions([empty, empty], PSEUDO, TAGS) == 255).all()
    pseudo = torch.where(PSEUDO == 3, 1, PSEUDO)
    assert (vote_regions([everything, empty], pseudo, TAGS) == 1).all()
    ignored = torch.full_like(PSEUDO, 255)
    assert (vote_regions([everything], ignored, TAGS) == 255).all()


def test_an_image_without_tags_is_background():
    none = torch.zeros(3)
    assert keep_tagged(PSEUDO, none).tolist() == [[0, 0, 255, 255], [255] * 4]
    assert (vote_regions([torch.arange(8)], PSEUDO, none) == 0).all()
    assert (vote_regions([torch.arange(8)], PSEUDO, none, False) == 255).all()


def test_kept_labels_are_those_of_tagged_classes():
    expected = [[0, 0, 1, 1], [255, 3, 3, 255]]
    assert keep_tagged(PSEUDO, TAGS).tolist() == expected
    # Without background, label 0 is the first class.
    tags = torch.tensor([0, 1, 1, 0])
    assert keep_tagged(PSEUDO, tags, background=False).tolist() == [
        [255, 255, 1, 1],
        [2, 255, 255, 255],
    ]
