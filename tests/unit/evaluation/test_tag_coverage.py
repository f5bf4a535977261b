import numpy as np
import pytest

from mmseg_wsss.evaluation import TagCoverage, disagreement, tag_coverage

MASK = np.array([[0, 0, 1, 1], [3, 2, 2, 255]], np.uint8)


def test_tags_and_classes_of_a_mask_by_hand():
    found = tag_coverage(MASK, np.array([1, 0, 1, 1]))  # classes 1, 3 and 4
    assert found == TagCoverage(shown=(0, 2), missing=(3,), untagged={1: 2})
    assert found.ratio == 2 / 3


def test_a_class_is_shown_from_min_pixels_on():
    tags = np.array([1, 0, 1, 1])
    assert tag_coverage(MASK, tags, min_pixels=2).missing == (2, 3)
    assert tag_coverage(MASK, tags, min_pixels=3) == TagCoverage((), (0, 2, 3), {})


def test_without_background_label_0_is_a_class():
    found = tag_coverage(MASK, np.array([1, 0, 0, 1]), background=False)
    assert found == TagCoverage(shown=(0, 3), missing=(), untagged={1: 2, 2: 2})


def test_an_image_without_tags_lacks_none():
    found = tag_coverage(MASK, np.zeros(4))
    assert (found.shown, found.missing, found.ratio) == ((), (), 1.0)
    assert found.untagged == {0: 2, 1: 2, 2: 1}


def slow_disagreement(first, second):
    pairs = [p for p in zip(first.flat, second.flat) if 255 not in p]
    if not pairs:
        return 1.0, 1.0
    ious = []
    for c in {label for pair in pairs for label in pair}:
        both = sum(a == c and b == c for a, b in pairs)
        ious.append(both / sum(a == c or b == c for a, b in pairs))
    differing = sum(a != b for a, b in pairs) / len(pairs)
    return 1 - sum(ious) / len(ious), differing


@pytest.mark.parametrize('seed', range(5))
def test_disagreement_equals_a_loop_over_pixels(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.choice([0, 1, 2, 3, 255], (2, 5, 6)).astype(np.uint8)
    expected = slow_disagreement(first, second)
    assert disagreement(first, second, 4) == pytest.approx(expected)
    assert disagreement(second, first, 4) == pytest.approx(expected)


def test_disagreement_of_equal_and_of_incomparable_masks():
    assert disagreement(MASK, MASK, 4) == (0, 0)
    nothing = np.full_like(MASK, 255)
    assert disagreement(MASK, nothing, 4) == (1, 1)
    assert disagreement(nothing, nothing, 4) == (1, 1)
