"""Color transforms against independent formulas, and the weights of their choice."""

import colorsys

import numpy as np
import pytest
from mmseg.datasets.transforms import PhotoMetricDistortion

from mmseg_wsss.datasets.transforms import (
    RandomCropPad,
    SemiColorJitter,
    SemiEqualize,
    SemiGaussianBlur,
    SemiPhotoMetricDistortion,
    SemiSolarize,
    SemiToGray,
    WeightedChoice,
    color_ops,
)
from mmseg_wsss.registry import TRANSFORMS

OPS = (
    SemiColorJitter,
    SemiGaussianBlur,
    SemiEqualize,
    SemiSolarize,
    SemiToGray,
    SemiPhotoMetricDistortion,
)


@pytest.fixture
def img() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)


def luma(img: np.ndarray) -> np.ndarray:
    return 0.299 * img[..., 0] + 0.587 * img[..., 1] + 0.114 * img[..., 2]


def blend(img: np.ndarray, other: np.ndarray | float, factor: float) -> np.ndarray:
    return (factor * img + (1 - factor) * other).clip(0, 255)


class TestFormulas:
    @pytest.mark.parametrize('factor', [0.0, 0.5, 1.0, 1.5])
    def test_blends(self, img, factor):
        gray = luma(img.astype(float))
        for found, other in (
            (color_ops.adjust_brightness(img, factor), 0.0),
            (color_ops.adjust_contrast(img, factor), gray.mean()),
            (color_ops.adjust_saturation(img, factor), gray[..., None]),
        ):
            assert found.dtype == np.uint8
            # The luma of a pixel is rounded before it is blended.
            np.testing.assert_allclose(found, blend(img, other, factor), atol=1.01)

    def test_gray(self, img):
        found = color_ops.to_gray(img)
        np.testing.assert_allclose(found[..., 0], luma(img), atol=0.51)
        assert (found == found[..., :1]).all()
        assert color_ops.to_gray(np.full((1, 1, 3), [255, 0, 0], np.uint8)).max() == 76

    @pytest.mark.parametrize('rotation', [-0.25, 0.0, 0.1, 0.5])
    def test_hue(self, img, rotation):
        found = color_ops.shift_hue(img, rotation)
        for color, expected in zip(found.reshape(-1, 3), img.reshape(-1, 3)):
            h, s, v = colorsys.rgb_to_hsv(*(expected / 255))
            expected_color = 255 * np.array(
                colorsys.hsv_to_rgb((h + rotation) % 1, s, v)
            )
            np.testing.assert_allclose(color, expected_color, atol=0.51)

    def test_hue_rotation_by_a_third_maps_red_to_green(self):
        red = np.full((1, 1, 3), [200, 0, 0], np.uint8)
        np.testing.assert_allclose(
            color_ops.shift_hue(red, 1 / 3)[0, 0], [0, 200, 0], atol=0.51
        )

    def test_equalize(self, img):
        img = img // 3 + 50
        found = color_ops.equalize(img)
        for channel in range(3):
            levels = img[..., channel].ravel()
            lowest = (levels == levels.min()).sum()
            for level, value in zip(levels, found[..., channel].ravel(), strict=True):
                below = (levels <= level).sum() - lowest
                assert value == pytest.approx(
                    255 * below / (levels.size - lowest), abs=0.51
                )

    def test_equalize_keeps_a_constant_image(self):
        plain = np.full((4, 4, 3), 77, np.uint8)
        np.testing.assert_array_equal(color_ops.equalize(plain), plain)

    def test_solarize(self):
        img = np.array([[[0, 127, 128], [200, 255, 100]]], np.uint8)
        expected = [[[0, 127, 127], [55, 0, 100]]]
        np.testing.assert_array_equal(color_ops.solarize(img, 128), expected)

    @pytest.mark.parametrize('kernel', [3, 5, 7])
    def test_blur(self, img, kernel):
        sigma, half = 1.3, kernel // 2
        offsets = np.arange(-half, half + 1)
        weights = np.exp(-(offsets**2) / (2 * sigma**2))
        weights /= weights.sum()
        padded = np.pad(
            img.astype(float), [(half, half), (half, half), (0, 0)], 'reflect'
        )
        expected = np.zeros(img.shape)
        for y in range(kernel):
            for x in range(kernel):
                window = padded[y : y + img.shape[0], x : x + img.shape[1]]
                expected += weights[y] * weights[x] * window
        np.testing.assert_allclose(color_ops.blur(img, sigma, kernel), expected, atol=2)

    def test_blur_with_automatic_kernel_size_keeps_the_mean(self, img):
        img = np.tile(img, (8, 8, 1))
        found = color_ops.blur(img, 2.0)
        assert found.std() < img.std() / 4
        assert found.mean() == pytest.approx(img.mean(), abs=2)


class TestTransforms:
    @pytest.mark.parametrize('op', OPS)
    def test_change_gets_rgb_and_the_input_is_unchanged(self, img, op):
        seen = []

        class Spy(op):
            def change(self, img):
                seen.append(img)
                return super().change(img)

        bgr, before = img[..., ::-1].copy(), img[..., ::-1].copy()
        np.random.seed(0)
        found = Spy()({'img': bgr})['img']
        np.testing.assert_array_equal(seen[0], img)
        np.testing.assert_array_equal(bgr, before)
        assert found.shape == img.shape
        assert found.dtype == np.uint8
        assert (found != before).any()

    @pytest.mark.parametrize('op', OPS)
    def test_padding_is_unchanged_and_ignored(self, img, op):
        pad = RandomCropPad((16, 20), pad_val=(1, 2, 3))
        results = pad({'img': img})
        inside = results['valid_map'] == 1
        np.random.seed(1)
        found = op()(results)['img']
        np.random.seed(1)
        alone = op()({'img': img})['img']
        np.testing.assert_array_equal(found[inside].reshape(img.shape), alone)
        assert (found[~inside] == (1, 2, 3)).all()

    @pytest.mark.parametrize('op', OPS)
    def test_crop_of_padding_only_is_unchanged(self, img, op):
        results = {'img': img, 'valid_map': np.zeros(img.shape[:2], np.uint8)}
        np.testing.assert_array_equal(op()(results)['img'], img)

    @pytest.mark.parametrize('op', OPS)
    def test_images_of_one_pixel(self, op):
        assert op()({'img': np.full((1, 1, 3), 200, np.uint8)})['img'].shape == (
            1,
            1,
            3,
        )

    def test_distortion_equals_that_of_mmseg(self, img):
        for seed in range(10):
            np.random.seed(seed)
            found = SemiPhotoMetricDistortion(hue_delta=9)({'img': img})['img']
            np.random.seed(seed)
            expected = PhotoMetricDistortion(hue_delta=9)({'img': img})['img']
            np.testing.assert_array_equal(found, expected)

    def test_jitter_draws_from_its_ranges_in_random_order(self, monkeypatch):
        bounds = {
            'adjust_brightness': (0.5, 1.5),
            'adjust_contrast': (0.6, 1.4),
            'adjust_saturation': (0.7, 1.3),
            'shift_hue': (-0.25, 0.25),
        }
        calls = []
        for name in bounds:
            monkeypatch.setattr(
                color_ops,
                name,
                lambda img, f, name=name: calls.append((name, f)) or img,
            )
        np.random.seed(0)
        for _ in range(300):
            SemiColorJitter(0.5, 0.4, 0.3, 0.25).change(np.zeros((1, 1, 3), np.uint8))
        runs = [calls[i : i + 4] for i in range(0, 1200, 4)]
        assert all({name for name, _ in run} == set(bounds) for run in runs)
        assert len({tuple(name for name, _ in run) for run in runs}) == 24
        for name, (low, high) in bounds.items():
            values = np.array([value for key, value in calls if key == name])
            assert low <= values.min() < low + 0.02 * (high - low)
            assert high - 0.02 * (high - low) < values.max() <= high

    def test_blur_draws_odd_kernels(self, monkeypatch, img):
        drawn = []
        monkeypatch.setattr(
            color_ops, 'blur', lambda img, *args: drawn.append(args) or img
        )
        np.random.seed(0)
        blur = SemiGaussianBlur(kernel=(3, 7))
        for _ in range(600):
            blur.change(img)
        sigmas, kernels = zip(*drawn)
        assert set(kernels) == {3, 5, 7}
        # 200 of each; 11.5 is the standard deviation.
        assert all(160 < kernels.count(side) < 240 for side in (3, 5, 7))
        assert min(sigmas) >= 0.1
        assert max(sigmas) <= 2

    @pytest.mark.parametrize(
        ('build', 'message'),
        [
            (lambda: SemiColorJitter(hue=0.6), r'hue.*0\.6'),
            (lambda: SemiColorJitter(contrast=-0.1), r'contrast.*-0\.1'),
            (lambda: SemiGaussianBlur(sigma=(0.0, 1.0)), r'sigma.*\(0\.0, 1\.0\)'),
            (lambda: SemiGaussianBlur(kernel=(4, 4)), r'kernel.*\(4, 4\)'),
            (lambda: SemiSolarize(300), 'threshold.*300'),
            (lambda: WeightedChoice([SemiToGray()], [1, 2]), r'1 numbers.*\[1, 2\]'),
            (lambda: WeightedChoice([SemiToGray()], [0]), r'not all 0, got \[0\]'),
        ],
    )
    def test_bad_arguments_are_named(self, build, message):
        with pytest.raises(ValueError, match=message):
            build()

    def test_float_images_are_refused(self, img):
        with pytest.raises(TypeError, match=r'SemiToGray.*float32.*to_float32'):
            SemiToGray()({'img': img.astype(np.float32)})


class Mark:
    """Append its number to the results."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, results: dict) -> dict:
        results['drawn'].append(self.number)
        return results


def test_one_transform_is_drawn_according_to_its_weight():
    weights = (0.3, 0.5, 0.1, 0.1, 0.5)
    choice = WeightedChoice([Mark(i) for i in range(5)], weights)
    np.random.seed(0)
    drawn: list[int] = []
    for count in range(1, 3001):
        choice({'drawn': drawn})
        assert len(drawn) == count
    shares = np.bincount(drawn, minlength=5) / 3000
    # Weights of MKD's released code; 4 standard deviations.
    np.testing.assert_allclose(shares, [0.2, 1 / 3, 1 / 15, 1 / 15, 1 / 3], atol=0.035)


def test_it_is_built_from_a_config():
    cfg = {
        'type': 'WeightedChoice',
        'transforms': [{'type': 'SemiToGray'}, [{'type': 'SemiSolarize'}]],
        'weights': [0, 1],
    }
    found = TRANSFORMS.build(cfg)({'img': np.full((2, 2, 3), 255, np.uint8)})
    assert (found['img'] == 0).all()
