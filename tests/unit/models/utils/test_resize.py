import pytest
import torch
import torch.nn.functional as F

from mmseg_wsss.models.utils import resize, resize_labels, scaled_size


@pytest.mark.parametrize('align_corners', [False, True])
def test_maps_are_resized_as_by_interpolate(align_corners: bool) -> None:
    maps = torch.rand(2, 3, 5, 4, dtype=torch.float64)
    expected = F.interpolate(maps, (7, 9), mode='bilinear', align_corners=align_corners)
    assert resize(maps, [7, 9], align_corners).equal(expected)


def test_half_precision_is_widened_before_it_is_resized() -> None:
    maps = torch.rand(1, 1, 3, 3).half()
    assert resize(maps, (3, 3)).dtype == torch.float32
    assert resize(maps, (5, 5)).equal(resize(maps.float(), (5, 5)))


def test_maps_of_the_right_size_are_returned_as_they_are() -> None:
    maps = torch.rand(1, 2, 3, 3)
    assert resize(maps, torch.Size([3, 3])) is maps


@pytest.mark.parametrize('dtype', [torch.int64, torch.uint8, torch.bool])
def test_labels_keep_their_type_and_values(dtype: torch.dtype) -> None:
    labels = torch.tensor([[[0, 255], [1, 0]]]).to(dtype)
    doubled = labels.repeat_interleave(2, 1).repeat_interleave(2, 2)
    assert resize_labels(labels, (4, 4)).equal(doubled)
    assert resize_labels(doubled, (2, 2)).equal(labels)


def test_sides_are_rounded_down_to_at_least_one() -> None:
    assert scaled_size((512, 321), 0.3) == (153, 96)
    assert scaled_size((2, 1), 0.3) == (1, 1)
