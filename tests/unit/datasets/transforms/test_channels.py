"""Images of 1 and 4 channels, and of more than 8 bits, in every transform."""

import cv2
import numpy as np
import pytest
import torch

from mmseg_wsss.datasets.label_maps import write_label_map
from mmseg_wsss.datasets.transforms import (
    KeepFullImage,
    LoadImageStrict,
    LoadPseudoLabel,
    PackWeakInputs,
    RandomCropPad,
    RandomRescale,
    SemiColorJitter,
    SemiEqualize,
    SemiGaussianBlur,
    SemiMultiBranch,
    SemiPhotoMetricDistortion,
    SemiSolarize,
    SemiToGray,
    color_ops,
)

SHAPES = {'flat': (12, 10), 'one': (12, 10, 1), 'four': (12, 10, 4), 'two': (12, 10, 2)}
JITTER = SemiColorJitter(saturation=0, hue=0)
PER_CHANNEL = (JITTER, SemiEqualize(), SemiGaussianBlur(), SemiSolarize())
COLOR = (SemiColorJitter(), SemiToGray(), SemiPhotoMetricDistortion())


@pytest.fixture(params=SHAPES)
def img(request) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, SHAPES[request.param], dtype=np.uint8)


def results(img: np.ndarray) -> dict:
    return {
        'img': img,
        'img_path': 'folder/a.png',
        'img_shape': img.shape[:2],
        'ori_shape': img.shape[:2],
    }


def channels(img: np.ndarray) -> list[np.ndarray]:
    img = img.reshape(*img.shape[:2], -1)
    return [img[..., index] for index in range(img.shape[2])]


@pytest.mark.parametrize('transform', PER_CHANNEL, ids=lambda t: type(t).__name__)
def test_color_transforms_by_channel(img, transform):
    """Equal to the operation on each channel; no axis is mirrored or dropped."""
    np.random.seed(0)
    found = transform(results(img))['img']
    assert found.shape == img.shape
    assert not np.array_equal(found, img)
    if isinstance(transform, SemiEqualize):
        for a, b in zip(channels(found), channels(img), strict=True):
            np.testing.assert_array_equal(a, cv2.equalizeHist(np.ascontiguousarray(b)))
    if isinstance(transform, SemiSolarize):
        np.testing.assert_array_equal(found, np.where(img < 128, img, 255 - img))
    if isinstance(transform, SemiGaussianBlur):
        rows = np.abs(found.astype(int) - img).reshape(12, -1).mean()
        mirrored = np.abs(found.astype(int) - img[:, ::-1]).reshape(12, -1).mean()
        assert rows < mirrored


def test_jitter_of_other_channels_is_brightness_and_contrast(img):
    np.random.seed(3)
    found = JITTER(results(img))['img'].astype(float)
    np.random.seed(3)
    brightness, contrast, _, _ = (
        np.random.uniform(0.5, 1.5),
        np.random.uniform(0.5, 1.5),
        np.random.uniform(1, 1),
        np.random.uniform(0, 0),
    )
    expected = img.astype(float)
    for index in np.random.permutation(4):
        if index == 0:
            expected = (brightness * expected).round().clip(0, 255)
        if index == 1:
            mean = expected.mean()
            expected = (mean + contrast * (expected - mean)).round().clip(0, 255)
    np.testing.assert_allclose(found, expected, atol=1)


@pytest.mark.parametrize('transform', COLOR, ids=lambda t: type(t).__name__)
def test_color_transforms_without_meaning_are_named(img, transform):
    count = len(channels(img))
    name = type(transform).__name__
    with pytest.raises(ValueError, match=rf'a\.png: {name} .* RGB image, got {count}'):
        transform(results(img))


def test_crop_and_pad(img):
    values = tuple(range(1, len(channels(img)) + 1))
    found = RandomCropPad((20, 16), values)(results(img))
    assert found['img'].shape == (20, 16, *img.shape[2:])
    inside = found['valid_map'] == 1
    for index, channel in enumerate(channels(found['img'])):
        assert set(channel[~inside]) == {values[index]}
        np.testing.assert_array_equal(
            channel[inside].reshape(12, 10), channels(img)[index]
        )
    found = RandomCropPad((20, 16), 7)(results(img))
    assert (found['img'][found['valid_map'] == 0] == 7).all()
    with pytest.raises(ValueError, match=r'a\.png: RandomCropPad .*one pad_val per'):
        RandomCropPad((20, 16))(results(img))


def test_geometry_and_packing(img):
    count = len(channels(img))
    found = RandomRescale((2, 2))(results(img))
    assert found['img'].shape[:2] == (24, 20)
    found = KeepFullImage((5, 6))(found)
    assert found['full_img'].shape == (5, 6, count)
    branch = SemiMultiBranch(unsup_weak=[PackWeakInputs()])
    packed = branch(found)
    assert packed['inputs']['unsup_weak'].shape == (count, 24, 20)
    full_img = packed['data_samples']['unsup_weak'].full_img.data
    assert full_img.shape == (count, 5, 6)


def test_three_channels_draw_the_same_numbers_as_before():
    img = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    np.random.seed(1)
    found = SemiColorJitter()(results(img))['img']
    np.random.seed(1)
    draws = [np.random.uniform(0.5, 1.5) for _ in range(3)]
    rotation = np.random.uniform(-0.25, 0.25)
    steps = [
        lambda x: color_ops.adjust_brightness(x, draws[0]),
        lambda x: color_ops.adjust_contrast(x, draws[1]),
        lambda x: color_ops.adjust_saturation(x, draws[2]),
        lambda x: color_ops.shift_hue(x, rotation),
    ]
    rgb = np.ascontiguousarray(img[..., ::-1])
    for index in np.random.permutation(4):
        rgb = steps[index](rgb)
    np.testing.assert_array_equal(found, rgb[..., ::-1])


class TestBits:
    @pytest.fixture(params=['a.png', 'a.tif', 'rgb.png', 'rgb.tif'])
    def path(self, request, tmp_path):
        """Twelve bits, stored in sixteen."""
        levels = np.arange(120, dtype=np.uint16).reshape(12, 10) * 34
        img = np.stack([levels] * 3, 2) if 'rgb' in request.param else levels
        cv2.imwrite(str(tmp_path / request.param), img)
        return tmp_path / request.param

    @pytest.mark.parametrize('color_type', ['color', 'grayscale'])
    def test_lost_bits_are_refused_in_one_line(self, path, color_type):
        load = LoadImageStrict(color_type=color_type)
        with pytest.raises(ValueError, match='16 bits per channel') as error:
            load({'img_path': str(path)})
        text = str(error.value)
        assert text.startswith(f'{path}: ')
        assert "color_type='unchanged'" in text
        assert '\n' not in text

    def test_unchanged_files_keep_their_range(self, path):
        found = LoadImageStrict(color_type='unchanged')({'img_path': str(path)})
        img = found['img']
        assert (img.dtype, img.min(), img.max()) == (np.float32, 0, 119 * 34)
        pad = RandomCropPad((16, 16), 2048)
        inputs = PackWeakInputs()(pad(found))['inputs']
        assert inputs.dtype == torch.float32
        assert inputs.max() == 119 * 34
        with pytest.raises(TypeError, match='needs an image of uint8, got float32'):
            SemiEqualize()(found)

    def test_eight_bits_are_accepted_in_all_modes(self, tmp_path):
        for name in ('a.png', 'a.tif', 'a.jpg', 'a.bmp'):
            path = tmp_path / name
            for shape in ((12, 10), (12, 10, 3)):
                cv2.imwrite(str(path), np.full(shape, 9, np.uint8))
                for color_type, ndim in (('color', 3), ('grayscale', 2)):
                    load = LoadImageStrict(color_type=color_type)
                    img = load({'img_path': str(path)})['img']
                    assert (img.dtype, img.ndim) == (np.uint8, ndim)

    def test_alpha_is_kept_if_unchanged(self, tmp_path):
        path = str(tmp_path / 'a.png')
        cv2.imwrite(path, np.full((12, 10, 4), 9, np.uint8))
        load = LoadImageStrict(color_type='unchanged')
        assert load({'img_path': path})['img'].shape == (12, 10, 4)


def test_pseudo_labels_outside_the_range_are_named(tmp_path):
    write_label_map(tmp_path / 'a.png', np.full((4, 5), 7, np.uint8))
    load = LoadPseudoLabel(str(tmp_path), num_classes=3)
    with pytest.raises(ValueError, match=r'a\.png: labels \[7\] outside \[0, 2\]'):
        load({'img_path': 'a.jpg', 'ori_shape': (4, 5)})
