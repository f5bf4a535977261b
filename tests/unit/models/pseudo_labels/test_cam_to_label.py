"""CAM merging, normalization and thresholds: loops and constants by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_wsss.models.pseudo_labels import (
    background_score,
    cam_to_label,
    merge_cams,
    normalize_cam,
)


def slow_bilinear(row, length):
    """Linear interpolation of a list with pixel centres at half-integers."""
    result = []
    for i in range(length):
        at = max((i + 0.5) * len(row) / length - 0.5, 0.0)
        left = min(int(at), len(row) - 1)
        right = min(left + 1, len(row) - 1)
        result.append(row[left] + (at - left) * (row[right] - row[left]))
    return result


@pytest.mark.parametrize('how', ['mean', 'sum', 'max'])
def test_merging_equals_the_loop(how):
    rows = [[1.0, 4.0], [0.0, 2.0, 5.0], [3.0, 1.0, 2.0, 6.0, 0.0]]
    resized = [slow_bilinear(row, 4) for row in rows]
    join = {'mean': lambda v: sum(v) / 3, 'sum': sum, 'max': max}[how]
    expected = [join(values) for values in zip(*resized)]
    cams = [torch.tensor(row, dtype=torch.float64).view(1, 1, 1, -1) for row in rows]
    merged = merge_cams(cams, (1, 4), how)
    torch.testing.assert_close(merged.flatten().tolist(), expected)


def test_a_single_map_of_that_size_stays():
    cam = torch.rand(2, 3, 4, 5, requires_grad=True)
    merged = merge_cams([cam], torch.Size([4, 5]))
    assert torch.equal(merged, cam)
    assert not merged.requires_grad


def test_merging_does_not_change_its_arguments():
    cams = [torch.rand(1, 2, 3, 3), torch.rand(1, 2, 3, 3)]
    copies = [cam.clone() for cam in cams]
    for how in ('mean', 'sum', 'max'):
        merge_cams(cams, (3, 3), how)
    assert all(torch.equal(cam, copy) for cam, copy in zip(cams, copies))


def test_half_precision_is_merged_in_single():
    cams = [torch.rand(1, 2, 3, 3).bfloat16() for _ in range(3)]
    merged = merge_cams(cams, (5, 5))
    assert merged.dtype == torch.float32
    expected = merge_cams([cam.float() for cam in cams], (5, 5))
    assert torch.equal(merged, expected)


def test_merging_names_what_is_wrong():
    with pytest.raises(ValueError, match="got 'median'"):
        merge_cams([torch.rand(1, 1, 2, 2)], (2, 2), 'median')
    with pytest.raises(ValueError, match='at least one map'):
        merge_cams([], (2, 2))


def test_division_by_the_maximum_of_each_class():
    cam = torch.tensor([[[[2.0, 4.0]], [[0.0, 0.0]], [[9.0, 3.0]]]])
    normal = normalize_cam(cam, torch.tensor([[1, 1, 0]]), eps=1.0)
    expected = torch.tensor([[[[0.4, 0.8]], [[0.0, 0.0]], [[0.0, 0.0]]]])
    torch.testing.assert_close(normal, expected)


def test_minimum_is_subtracted_first_on_demand():
    cam = torch.tensor([[[[-1.0, 1.0, 3.0]], [[5.0, 5.0, 5.0]]]])
    normal = normalize_cam(cam, mode='minmax', eps=1.0)
    # 0, 2, 4 divided by 4 + 1; a constant map becomes 0.
    expected = torch.tensor([[[[0.0, 0.4, 0.8]], [[0.0, 0.0, 0.0]]]])
    torch.testing.assert_close(normal, expected)


@pytest.mark.parametrize('mode', ['max', 'minmax'])
def test_normalization_is_per_image_and_class(mode):
    cam = torch.rand(3, 4, 5, 6) * torch.tensor([1.0, 10, 0.1, 3]).view(1, 4, 1, 1)
    normal = normalize_cam(cam, mode=mode)
    for i in range(3):
        for k in range(4):
            one = cam[i, k] - (cam[i, k].min() if mode == 'minmax' else 0)
            torch.testing.assert_close(normal[i, k], one / (one.max() + 1e-5))


def test_normalization_names_what_is_wrong():
    with pytest.raises(ValueError, match="got 'l2'"):
        normalize_cam(torch.rand(1, 1, 2, 2), mode='l2')


def test_background_score():
    cam = torch.tensor([[[[0.5, 0.0, 1.0]], [[0.75, 0.0, 0.2]]]])
    score = background_score(cam, 4.0)
    torch.testing.assert_close(score, torch.tensor([[[[0.25**4, 1.0, 0.0]]]]))
    # Rounding may push a map above 1: no NaN from a broken power.
    assert background_score(torch.full((1, 1, 1, 1), 1.001), 0.5) == 0


def slow_label(cam, tags, bg_thr, high_thr, low_thr, box):
    """Label of one image, pixel by pixel."""
    classes, height, width = cam.shape
    label = torch.empty(height, width, dtype=torch.int64)
    for y in range(height):
        for x in range(width):
            values = [float(cam[k, y, x]) * int(tags[k]) for k in range(classes)]
            best = max(values)
            value = values.index(best) + 1
            if high_thr is None:
                if best <= bg_thr:
                    value = 0
            else:
                if best <= high_thr:
                    value = 255
                if best <= low_thr:
                    value = 0
            if box is not None:
                row0, row1, col0, col1 = box
                if not (row0 <= y < row1 and col0 <= x < col1):
                    value = 255
            label[y, x] = value
    return label


unit = st.sampled_from([i / 8 for i in range(9)])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_labels_equal_the_loop(data):
    n, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    height, width = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    count = n * classes * height * width
    values = data.draw(st.lists(unit, min_size=count, max_size=count))
    cam = torch.tensor(values).view(n, classes, height, width)
    bits = st.lists(st.booleans(), min_size=classes, max_size=classes)
    tags = torch.tensor([data.draw(bits) for _ in range(n)]).float()
    high = low = None
    if data.draw(st.booleans()):
        low, high = sorted([data.draw(unit), data.draw(unit)])
    boxes = None
    if data.draw(st.booleans()):
        rows, cols = st.integers(0, height), st.integers(0, width)
        boxes = [
            (
                *sorted([data.draw(rows), data.draw(rows)]),
                *sorted([data.draw(cols), data.draw(cols)]),
            )
            for _ in range(n)
        ]
    bg_thr = data.draw(unit)
    label = cam_to_label(cam, tags, bg_thr, high, low, boxes)
    assert label.dtype == torch.int64
    for i in range(n):
        box = boxes[i] if boxes else None
        expected = slow_label(cam[i], tags[i], bg_thr, high, low, box)
        assert torch.equal(label[i], expected)


def test_order_of_the_band():
    # Both ends of the band belong to the lower side.
    cam = torch.tensor([0.34, 0.35, 0.36, 0.55, 0.56]).view(1, 1, 1, 5)
    cam = torch.cat([cam, torch.zeros_like(cam)], 1)
    tags = torch.tensor([[1, 1]])
    band = {'high_thr': 0.55, 'low_thr': 0.35}
    label = cam_to_label(cam, tags, **band)
    assert label.tolist() == [[[0, 0, 255, 255, 1]]]
    whole = cam_to_label(cam, tags, **band, img_box=[(0, 1, 0, 5)])
    assert torch.equal(label, whole)
    part = cam_to_label(cam, tags, **band, img_box=torch.tensor([[0, 1, 1, 4]]))
    assert part.tolist() == [[[255, 0, 255, 255, 255]]]


def test_default_threshold_and_box():
    cam = torch.tensor([[[[0.4, 0.45, 0.5]]]])
    tags = torch.tensor([[1.0]])
    assert cam_to_label(cam, tags).tolist() == [[[0, 0, 1]]]
    assert cam_to_label(cam, tags, img_box=[(0, 1, 0, 2)]).tolist() == [[[0, 0, 255]]]
    assert (cam_to_label(cam, tags, img_box=[(0, 0, 0, 0)]) == 255).all()


def test_absent_classes_and_images_without_tags():
    cam = torch.full((2, 2, 1, 1), 0.9)
    cam[:, 0] = 1.0
    label = cam_to_label(cam, torch.tensor([[0, 1], [0, 0]]))
    assert label.flatten().tolist() == [2, 0]
    band = cam_to_label(
        cam, torch.tensor([[0, 1], [0, 0]]), high_thr=0.55, low_thr=0.35
    )
    assert band.flatten().tolist() == [2, 0]


def test_thresholds_name_what_is_wrong():
    cam, tags = torch.rand(1, 1, 2, 2), torch.ones(1, 1)
    with pytest.raises(ValueError, match=r'high_thr=0\.5 and low_thr=None'):
        cam_to_label(cam, tags, high_thr=0.5)
    with pytest.raises(ValueError, match=r'at most high_thr=0\.3, got 0\.5'):
        cam_to_label(cam, tags, high_thr=0.3, low_thr=0.5)


def test_boxes():
    cam, tags = torch.ones(2, 1, 3, 4), torch.ones(2, 1)
    mask = cam_to_label(cam, tags, img_box=[(0, 2, 1, 3), (1, 1, 0, 4)]) == 1
    assert mask[0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert not mask[1].any()
