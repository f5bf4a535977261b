"""Resizing of boxes against the resizing of each box alone."""

import pytest
import torch

from mmseg_wsss.models.utils import bounding_boxes, inside_boxes, resize, resize_boxes

SOURCE = [(0, 0, 9, 7), (2, 1, 5, 6), (8, 3, 1, 1), (1, 0, 8, 2)]
TARGET = [(0, 0, 12, 4), (1, 3, 11, 2), (5, 0, 3, 5), (0, 4, 1, 1)]


def cut(maps, box):
    top, left, height, width = box
    return maps[..., top : top + height, left : left + width]


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_each_box_as_if_it_were_alone(align_corners, dtype):
    rng = torch.Generator().manual_seed(0)
    maps = torch.rand(4, 3, 9, 7, generator=rng, dtype=dtype)
    boxes = torch.tensor(SOURCE), torch.tensor(TARGET)
    found = resize_boxes(maps, *boxes, (12, 5), align_corners)
    assert found.dtype == dtype
    for i, (source, target) in enumerate(zip(SOURCE, TARGET)):
        expected = resize(cut(maps[i : i + 1], source), target[2:], align_corners)
        torch.testing.assert_close(cut(found[i : i + 1], target), expected)


def test_boxes_around_pixels():
    valid = torch.zeros(4, 9, 7, dtype=torch.bool)
    for inside, box in zip(valid, SOURCE):
        cut(inside, box)[:] = True
    assert bounding_boxes(valid).tolist() == [list(box) for box in SOURCE]
    assert inside_boxes(bounding_boxes(valid), (9, 7)).equal(valid)
    valid[0, 1:8, 1:6] = False  # a hole
    assert bounding_boxes(valid)[0].tolist() == list(SOURCE[0])


def test_no_pixel_at_all():
    box = bounding_boxes(torch.zeros(1, 4, 3, dtype=torch.bool))
    assert box[0, 2:].tolist() == [0, 0]
    assert not inside_boxes(box, (4, 3)).any()
    maps = torch.rand(1, 2, 4, 3)
    assert resize_boxes(maps, box, box, (4, 3)).isfinite().all()
