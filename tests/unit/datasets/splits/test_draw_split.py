"""Draws of labeled images: sizes, seeds, folds, balance."""

import re

import pytest

from mmseg_wsss.datasets.splits.draw_split import draw_split
from mmseg_wsss.datasets.tags import ImageTags

NAMES = [f'{i:03d}' for i in range(40)]


def test_published_sizes_are_ratios_rounded_up():
    counts = {10582: (662, 1323, 2646, 5291), 2975: (186, 372, 744, 1488)}
    for total, expected in counts.items():
        names = [str(i) for i in range(total)]
        sizes = [f'1/{n}' for n in (16, 8, 4, 2)]
        found = [len(draw_split(names, size).labeled) for size in sizes]
        assert tuple(found) == expected


def test_parts_are_disjoint_and_complete():
    split = draw_split(NAMES, '1/3', seed=1)
    assert len(split.labeled) == 14
    assert sorted([*split.labeled, *split.unlabeled]) == NAMES


def test_it_depends_on_the_seed_and_not_on_the_order():
    first = draw_split(NAMES, '10', seed=1)
    assert draw_split(NAMES[::-1], '10', seed=1) == first
    assert draw_split(NAMES, '10', seed=2).labeled != first.labeled


@pytest.mark.parametrize('balanced', [False, True])
def test_smaller_splits_are_subsets_of_larger_ones(balanced):
    tags = ImageTags({n: [int(n) % 3] for n in NAMES}, [*'abc']) if balanced else None
    splits = [draw_split(NAMES, s, 3, tags=tags) for s in ('1/8', '1/4', '1/2')]
    small, middle, large = (set(split.labeled) for split in splits)
    assert small < middle < large


def test_folds_differ_and_repeat():
    folds = [draw_split(NAMES, '10', 0, fold) for fold in (0, 1, 0)]
    assert folds[0] == folds[2]
    assert folds[0].labeled != folds[1].labeled
    plain = draw_split(NAMES, '10', 0)
    assert plain.labeled not in [fold.labeled for fold in folds]
    assert [fold.name for fold in folds[:2]] == ['seed0-fold0_10', 'seed0-fold1_10']


def test_balanced_split_has_as_many_rare_as_common_classes():
    """Of 36 images of class a and 4 of b, a balanced split of 8 has 4 of each."""
    tags = ImageTags({n: [int(n) >= 36] for n in NAMES}, [*'ab'])
    for seed in range(5):
        split = draw_split(NAMES, '8', seed, tags=tags)
        assert sum(int(n) >= 36 for n in split.labeled) == 4
        assert split.name == f'seed{seed}-balanced_8'


def test_balancing_counts_all_classes_of_an_image():
    """Images of both a and b count for both classes."""
    rows = {n: [0, 1] if int(n) < 4 else [2] for n in NAMES}
    split = draw_split(NAMES, '8', tags=ImageTags(rows, [*'abc']))
    assert sum(int(n) < 4 for n in split.labeled) == 4


def test_images_without_a_tag_come_last():
    tags = ImageTags({n: [0] if int(n) < 5 else [] for n in NAMES}, [*'ab'])
    assert set(NAMES[:5]) < set(draw_split(NAMES, '6', tags=tags).labeled)


@pytest.mark.parametrize('size', ['0', '40', '41', '1/0', '0/4', '1.5', 'x', '-3'])
def test_invalid_sizes_are_named(size):
    with pytest.raises(ValueError, match=re.escape(size)):
        draw_split(NAMES, size)


def test_an_image_without_an_entry_is_named():
    with pytest.raises(ValueError, match="'039'"):
        draw_split(NAMES, '8', tags=ImageTags({n: [0] for n in NAMES[:39]}, ['a']))
