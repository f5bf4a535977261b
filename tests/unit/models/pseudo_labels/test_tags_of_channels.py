import pytest
import torch

from mmseg_wsss.models.pseudo_labels import hard_label, present_classes, tag_filter

TAGS = torch.tensor([[1.0, 0.0], [0.0, 0.0]])


def test_background_is_always_present():
    assert present_classes(TAGS).tolist() == [[True, True, False], [True, False, False]]
    assert present_classes(TAGS, background=False).tolist() == [
        [True, False],
        [False, False],
    ]


def test_absent_channels_become_0_and_others_stay():
    prob = torch.rand(2, 3, 4, 5)
    kept = tag_filter(prob, TAGS)
    assert torch.equal(kept[0, :2], prob[0, :2])
    assert torch.equal(kept[1, 0], prob[1, 0])
    assert kept[0, 2].abs().sum() + kept[1, 1:].abs().sum() == 0


def test_without_background_every_channel_has_a_tag():
    prob = torch.rand(2, 2, 4, 5)
    kept = tag_filter(prob, TAGS)
    assert torch.equal(kept[0, 0], prob[0, 0])
    assert kept[0, 1].abs().sum() + kept[1].abs().sum() == 0


def test_type_is_kept():
    assert tag_filter(torch.rand(2, 3, 1, 1).bfloat16(), TAGS).dtype == torch.bfloat16


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match='4 channels and tags have 2 classes'):
        tag_filter(torch.rand(2, 4, 1, 1), TAGS)


def test_the_first_present_class_of_the_highest_score():
    scores = [[0.2, 0.5, 0.5, 0.0], [0.4, 0.3, 0.5, 0.0], [0.4, 0.2, 0.0, 0.0]]
    prob = torch.tensor(scores).view(1, 3, 1, 4)
    every = torch.ones(1, 3)
    assert hard_label(prob, every).tolist() == [[[1, 0, 0, 0]]]
    assert hard_label(prob, every[:, :2]).tolist() == [[[1, 0, 0, 0]]]  # background
    # A class that is absent has the score 0 too.
    prob = prob * torch.tensor([0.0, 1.0, 1.0]).view(3, 1, 1)
    absent = torch.tensor([[0.0, 1.0, 1.0]])
    assert hard_label(prob, absent).tolist() == [[[1, 1, 1, 1]]]


def test_images_without_a_tag_have_the_background_or_nothing():
    prob = torch.rand(2, 2, 3, 4)
    assert (hard_label(prob, TAGS)[0] == 0).all()
    assert (hard_label(prob, TAGS)[1] == 255).all()
    with_background = torch.cat(
        [torch.full((2, 1, 3, 4), 0.1), tag_filter(prob, TAGS)], 1
    )
    label = hard_label(with_background, TAGS)
    assert (label[1] == 0).all()
    assert label.dtype == torch.int64
