"""Crops with their valid area, rescaling, packing."""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.transforms import Compose
from mmengine.registry import DefaultScope
from mmseg.datasets.transforms import RandomFlip
from mmseg.models import SegDataPreProcessor
from PIL import Image

from mmseg_wsss.datasets.transforms import (
    KeepFullImage,
    PackWeakInputs,
    RandomCropPad,
    RandomRescale,
)
from mmseg_wsss.models.utils import valid_maps


def sample(height: int, width: int) -> dict:
    """An image with coordinates as colors; no value is 255."""
    rows, cols = np.mgrid[:height, :width]
    img = np.stack([rows % 250, cols % 250, (rows + cols) % 250], 2).astype(np.uint8)
    return {
        'img': img,
        'img_path': 'a.png',
        'ori_shape': (height, width),
        'img_shape': (height, width),
        'gt_tags': np.array([1, 0, 1], dtype=np.uint8),
    }


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_valid_area_equals_the_area_of_the_image(height, width, seed):
    np.random.seed(seed)
    crop = RandomCropPad((16, 24), pad_val=(255, 255, 255))(sample(height, width))
    assert crop['img'].shape == (16, 24, 3)
    np.testing.assert_array_equal(crop['valid_map'] == 1, (crop['img'] != 255).all(2))
    assert crop['valid_map'].sum() == min(height, 16) * min(width, 24)


def test_masks_are_cropped_with_the_image_and_padded_with_255():
    results = sample(10, 40)
    results |= {'gt_seg_map': results['img'][..., 1], 'seg_fields': ['gt_seg_map']}
    crop = RandomCropPad((16, 24))(results)
    inside = crop['valid_map'] == 1
    np.testing.assert_array_equal(crop['gt_seg_map'][inside], crop['img'][inside][:, 1])
    assert (crop['gt_seg_map'][~inside] == 255).all()


def test_padding_has_the_mean_color_of_imagenet():
    """In BGR, as images are loaded; normalized it is nearly 0."""
    corner = RandomCropPad((16, 24))(sample(1, 1))['img'][-1, -1]
    rgb = corner[::-1].astype(float)
    normalized = (rgb - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)
    assert (abs(normalized) < 0.02).all()


def test_every_window_position_can_be_drawn():
    np.random.seed(0)
    starts = {
        int(RandomCropPad((4, 8))(sample(6, 8))['img'][0, 0, 0]) for _ in range(60)
    }
    assert starts == {0, 1, 2}


def test_flip_after_crop_flips_the_valid_area():
    np.random.seed(1)
    crop = RandomCropPad((8, 24), pad_val=(255, 255, 255))(sample(8, 10))
    flipped = RandomFlip(prob=1.0)(crop)
    np.testing.assert_array_equal(
        flipped['valid_map'] == 1, (flipped['img'] != 255).all(2)
    )


ADDED = {
    'rotated': [{'type': 'RandomRotate', 'prob': 1.0, 'degree': (45, 45)}],
    'rotated and cut': [
        {'type': 'RandomRotate', 'prob': 1.0, 'degree': (45, 45)},
        {'type': 'RandomCropPad', 'crop_size': (32, 32), 'pad_val': (0, 0, 0)},
    ],
}


def white_image(steps: list[dict], folder: Path) -> dict:
    file = folder / 'white.png'
    Image.fromarray(np.full((24, 32, 3), 255, np.uint8)).save(file)
    kinds = [{'type': 'LoadImageStrict'}, *steps, {'type': 'PackWeakInputs'}]
    with DefaultScope.overwrite_default_scope('mmseg'):
        return Compose(kinds)({'img_path': str(file)})


def test_padding_of_the_image_alone_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"white\.png: .*mmcv's Pad.*RandomCropPad"):
        white_image([{'type': 'Pad', 'size': (40, 60)}], tmp_path)


@pytest.mark.parametrize('steps', ADDED.values(), ids=list(ADDED))
def test_pixels_added_by_mmsegs_transforms_are_invalid(steps, tmp_path):
    packed = white_image(steps, tmp_path)
    valid = packed['data_samples'].valid_map.data[0]
    img = packed['inputs']
    assert 0 < valid.sum() < valid.numel()
    assert (img[:, ~valid].float().mean() < 128).all()
    white = (img == 255).all(0)
    assert white[valid].float().mean() > 0.9  # a rotation blends along the border
    assert not white[~valid].any()
    top, bottom, left, right = packed['data_samples'].img_box
    assert valid[top:bottom, left:right].sum() == valid.sum()


def test_packing_gives_tags_valid_map_and_its_box():
    np.random.seed(2)
    packed = PackWeakInputs()(RandomCropPad((16, 24))(sample(10, 12)))
    data = packed['data_samples']
    assert data.gt_tags.label.tolist() == [1.0, 0.0, 1.0]
    row0, row1, col0, col1 = data.img_box
    expected = torch.zeros(1, 16, 24, dtype=torch.bool)
    expected[:, row0:row1, col0:col1] = True
    assert (row1 - row0, col1 - col0) == (10, 12)
    assert torch.equal(data.valid_map.data, expected)
    assert 'gt_sem_seg' not in data


@pytest.mark.parametrize('loader', ['LoadImageFromFile', 'LoadImageFromNDArray'])
def test_image_of_mmsegs_loaders_is_valid_everywhere(loader, tmp_path):
    """Test pipelines with mmseg's names work, as mmseg's entry points need them."""
    img = sample(10, 12)['img']
    Image.fromarray(img[..., ::-1]).save(tmp_path / 'a.png')
    steps = [{'type': loader}, {'type': 'Resize', 'scale': (24, 20)}]
    with DefaultScope.overwrite_default_scope('mmseg'):
        pipeline = Compose([*steps, {'type': 'PackWeakInputs'}])
    packed = pipeline({'img_path': str(tmp_path / 'a.png'), 'img': img})
    data = packed['data_samples']
    assert packed['inputs'].shape == (3, 20, 24)
    assert data.valid_map.data.shape == (1, 20, 24)
    assert data.valid_map.data.all()
    assert data.img_box == (0, 20, 0, 24)
    batch = SegDataPreProcessor(size=(32, 32))(
        {'inputs': [packed['inputs']], 'data_samples': [data]}, training=True
    )
    valid = valid_maps(batch['data_samples'], batch['inputs'])
    assert valid[0, :20, :24].all()
    assert valid.sum() == 20 * 24


def test_packing_refuses_a_valid_area_of_another_size():
    crop = RandomCropPad((16, 24))(sample(10, 12))
    crop['img'] = crop['img'][:8]
    with pytest.raises(ValueError, match=r'a\.png.*\(16, 24\).*\(8, 24\)'):
        PackWeakInputs()(crop)


def test_rescale_keeps_proportions_and_bounds():
    np.random.seed(0)
    for _ in range(20):
        height, width = RandomRescale((0.5, 2.0))(sample(20, 40))['img'].shape[:2]
        assert 10 <= height <= 40
        assert abs(width - 2 * height) <= 1


def test_one_factor_per_batch():
    rescale = RandomRescale((0.5, 2.0), batch_size=4)
    heights = [
        rescale(sample(100, 50) | {'sample_key': (7, number)})['img'].shape[0]
        for number in range(12)
    ]
    batches = [set(heights[start : start + 4]) for start in (0, 4, 8)]
    assert [len(batch) for batch in batches] == [1, 1, 1]
    assert len(set.union(*batches)) == 3
    with pytest.raises(ValueError, match='EndlessSampler'):
        rescale(sample(10, 10))


def test_pillow_averages_where_it_shrinks():
    results = sample(40, 40)
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    labels = rng.integers(0, 5, (40, 40), dtype=np.uint8)
    results |= {'img': img, 'gt_seg_map': labels, 'seg_fields': ['gt_seg_map']}
    small = {
        backend: RandomRescale((0.25, 0.25), backend=backend)(deepcopy(results))
        for backend in ('cv2', 'pillow')
    }
    expected = Image.fromarray(img).resize((10, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(small['pillow']['img'], np.asarray(expected))
    assert small['pillow']['img'].std() < 0.7 * small['cv2']['img'].std()
    assert small['pillow']['gt_seg_map'].shape == (10, 10)
    assert set(np.unique(small['pillow']['gt_seg_map'])) <= set(range(5))


@pytest.mark.parametrize(
    'img', [np.zeros((8, 8, 3), np.float32), np.zeros((8, 8, 5), np.uint8)]
)
def test_pillow_refuses_what_it_cannot_resize(img):
    rescale = RandomRescale((0.5, 0.5), backend='pillow')
    with pytest.raises(ValueError, match=r"a\.png.*pillow.*backend='cv2'"):
        rescale(sample(8, 8) | {'img': img})
    gray = rescale(sample(8, 8) | {'img': np.zeros((8, 8), np.uint8)})
    assert gray['img'].shape == (4, 4)


def test_full_image_is_kept_at_crop_size():
    results = KeepFullImage((16, 24))(sample(30, 30))
    packed = PackWeakInputs()(RandomCropPad((16, 24))(results))
    assert packed['data_samples'].full_img.data.shape == (3, 16, 24)


@pytest.mark.parametrize(
    ('build', 'message'),
    [
        (lambda: RandomCropPad((0, 4)), r'crop_size.*\(0, 4\)'),
        (lambda: RandomRescale((2.0, 1.0)), r'ratio_range.*\(2.0, 1.0\)'),
        (lambda: RandomRescale((1.0, 2.0), backend='PIL'), "backend.*'PIL'"),
    ],
)
def test_bad_arguments_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()
