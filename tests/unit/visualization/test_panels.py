import numpy as np
import pytest
import torch

from mmseg_wsss.visualization.panels import (
    MARGIN,
    TEXT,
    draw_cam,
    draw_labels,
    label_row,
    legend_of,
    panel,
)

PALETTE = [[0, 0, 0], [200, 0, 0], [0, 100, 0]]
CLASSES = ('background', 'cat', 'dog')


def gray(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 100, dtype=np.uint8)


def test_labels_tint_darken_and_whiten() -> None:
    drawn = draw_labels(gray(1, 4), torch.tensor([[0, 1, 2, 255]]), PALETTE)
    # 100 * (1 - share) + color * share
    assert drawn.tolist() == [[[45] * 3, [160, 40, 40], [40, 100, 40], [224] * 3]]
    assert drawn.dtype == np.uint8


def test_a_first_class_with_a_color_is_tinted_too() -> None:
    drawn = draw_labels(gray(1, 1), np.array([[0]]), [[200, 0, 0]])
    assert drawn.tolist() == [[[160, 40, 40]]]


def test_heat_follows_the_strongest_map() -> None:
    cam = torch.zeros(2, 1, 3)
    cam[0, 0, 1], cam[1, 0, 2], cam[0, 0, 2] = 0.5, 1.0, 0.2
    cold, middle, hot = draw_cam(gray(1, 3), cam)[0].astype(int)
    assert cold[0] < 100 and cold[1] < 100  # dark blue
    assert middle[1] == max(middle[1], cold[1], hot[1])  # green
    assert hot[0] > hot[1] + 50 and hot[0] > hot[2] + 50  # red
    alone = draw_cam(gray(1, 3), cam.amax(dim=0, keepdim=True))
    assert alone[0].tolist() == [cold.tolist(), middle.tolist(), hot.tolist()]


def test_an_image_of_another_size_is_scaled_to_the_labels() -> None:
    drawn = draw_labels(gray(7, 3), np.ones((14, 6), dtype=int), PALETTE)
    assert drawn.shape == (14, 6, 3)
    assert (drawn == [160, 40, 40]).all()


def test_row_and_panel_place_images_under_their_titles() -> None:
    label = np.ones((10, 20), dtype=int)
    row = label_row(gray(10, 20), {'truth': label}, PALETTE, torch.zeros(2, 10, 20))
    assert list(row) == ['image', 'CAM', 'truth']
    page = panel([row, {'truth': draw_labels(gray(40, 10), label, PALETTE)}], tile=40)
    # two rows of height 20 (10x20 images at twice their size)
    top = TEXT + 2 * MARGIN
    assert page.shape == (top + 2 * (20 + MARGIN), 3 * (40 + MARGIN) + MARGIN, 3)
    first, last = MARGIN + 20, 2 * (40 + MARGIN) + MARGIN + 20
    assert page[top + 10, first].tolist() == [100, 100, 100]
    assert page[top + 10, last].tolist() == [160, 40, 40]
    # the second row has a truth only
    assert page[top + 36, first].tolist() == [255, 255, 255]
    assert page[top + 36, last].tolist() == [160, 40, 40]
    # something is written above every column
    assert all(part.min() < 128 for part in np.split(page[:top, MARGIN:], 3, axis=1))


def test_legend_names_what_occurs_and_is_drawn() -> None:
    labels = [np.array([[2, 0]]), torch.tensor([[0, 255]])]
    legend = legend_of(labels, CLASSES, PALETTE)
    assert list(legend) == ['background', 'dog', 'unlabeled']
    assert list(legend_of(labels[:1], CLASSES, PALETTE)) == ['background', 'dog']
    row = {'image': gray(10, 10)}
    bare, page = panel([row], tile=300), panel([row], legend, tile=300)
    added = page[len(bare) :]
    assert len(added) == TEXT + MARGIN
    assert (added == [0, 100, 0]).all(axis=-1).sum() > 100
    # three entries do not fit into one line of a narrow panel
    assert len(panel([row], legend, 100)) > len(panel([row], tile=100)) + len(added)


def test_an_empty_panel_is_refused() -> None:
    with pytest.raises(ValueError, match='at least one image'):
        panel([])
