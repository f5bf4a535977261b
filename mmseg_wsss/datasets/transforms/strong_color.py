"""Color operations of the views, and the choice of one of them.

mmcv's ``RandomApply(transforms, prob)`` applies one now and then.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform, RandomChoice
from mmseg.datasets.transforms import PhotoMetricDistortion

from mmseg_wsss.registry import TRANSFORMS

from . import color_ops
from .pack_weak_inputs import bounding_box


class ColorOp(BaseTransform):
    """A color operation on the part of the crop that shows the image.

    Images are loaded as BGR; operations see RGB (mkd.md, quirk 12). Padding keeps its
    color and does not count in histograms and means: in the papers images are padded
    afterwards. Randomness is NumPy's.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (H, W, 3) uint8."""
        img = results['img']
        if img.dtype != np.uint8:
            raise TypeError(
                f'{type(self).__name__} needs an image of uint8, got {img.dtype}; '
                'leave out to_float32 of the loader'
            )
        box = slice(None), slice(None)
        if 'valid_map' in results:
            top, bottom, left, right = bounding_box(results['valid_map'])
            box = slice(top, bottom), slice(left, right)
        if img[box].size:
            rgb = np.ascontiguousarray(img[box][..., ::-1])
            img = img.copy()
            img[box] = self.change(rgb)[..., ::-1]
        results['img'] = img
        return results

    def change(self, img: np.ndarray) -> np.ndarray:
        """A new image; ``img`` is RGB (h, w, 3) uint8, not empty."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'


@TRANSFORMS.register_module()
class SemiColorJitter(ColorOp):
    """Brightness, contrast, saturation and hue, in random order.

    Args:
        brightness: The factor is uniform in [1 - brightness, 1 + brightness].
        contrast: The same for contrast.
        saturation: The same for saturation.
        hue: The turn of the color circle is uniform in [-hue, hue], at most 0.5. The
            defaults are those of MKD (mkd.md, section 9.1) and UniMatch (section 14).

    Raises:
        ValueError: If a range is negative, or reaches below 0.
    """

    def __init__(
        self,
        brightness: float = 0.5,
        contrast: float = 0.5,
        saturation: float = 0.5,
        hue: float = 0.25,
    ) -> None:
        if not 0 <= hue <= 0.5:
            raise ValueError(f'hue must be in [0, 0.5], got {hue}')
        ranges = {
            'brightness': brightness,
            'contrast': contrast,
            'saturation': saturation,
        }
        for name, value in ranges.items():
            if not 0 <= value <= 1:
                raise ValueError(f'{name} must be in [0, 1], got {value}')
        self.ranges = ranges
        self.hue = hue

    def change(self, img: np.ndarray) -> np.ndarray:
        """Draw all four, and their order."""
        factors = {
            name: np.random.uniform(1 - value, 1 + value)
            for name, value in self.ranges.items()
        }
        turn = np.random.uniform(-self.hue, self.hue)
        steps = [
            lambda img: color_ops.adjust_brightness(img, factors['brightness']),
            lambda img: color_ops.adjust_contrast(img, factors['contrast']),
            lambda img: color_ops.adjust_saturation(img, factors['saturation']),
            lambda img: color_ops.shift_hue(img, turn),
        ]
        for index in np.random.permutation(len(steps)):
            img = steps[index](img)
        return img


@TRANSFORMS.register_module()
class SemiGaussianBlur(ColorOp):
    """Gaussian blur of random strength.

    Args:
        sigma: Bounds of the standard deviation in pixels, drawn uniformly (mkd.md,
            sections 9.1 and 14).
        kernel: Bounds of the side of the kernel, drawn uniformly among the odd numbers;
            (3, 7) in MKD. By default the kernel is as large as it needs to be.

    Raises:
        ValueError: If the bounds are not 0 < low <= high, or leave no odd side.
    """

    def __init__(
        self,
        sigma: tuple[float, float] = (0.1, 2.0),
        kernel: tuple[int, int] | None = None,
    ) -> None:
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f'sigma must be 0 < low <= high, got {sigma}')
        sides: list[int | None] = [None]
        if kernel is not None:
            sides = [side for side in range(kernel[0], kernel[1] + 1) if side % 2]
            if not sides or kernel[0] < 1:
                raise ValueError(f'kernel must bound odd numbers above 0, got {kernel}')
        self.sigma = sigma
        self.sides = sides

    def change(self, img: np.ndarray) -> np.ndarray:
        """Draw strength and size."""
        side = self.sides[np.random.randint(len(self.sides))]
        return color_ops.blur(img, np.random.uniform(*self.sigma), side)


@TRANSFORMS.register_module()
class SemiEqualize(ColorOp):
    """Equalise the histogram of each channel."""

    def change(self, img: np.ndarray) -> np.ndarray:
        """Nothing is drawn."""
        return color_ops.equalize(img)


@TRANSFORMS.register_module()
class SemiSolarize(ColorOp):
    """Invert the bright levels.

    Args:
        threshold: Lowest level that is inverted, in 0..256.
    """

    def __init__(self, threshold: int = 128) -> None:
        if not 0 <= threshold <= 256:
            raise ValueError(f'threshold must be in [0, 256], got {threshold}')
        self.threshold = threshold

    def change(self, img: np.ndarray) -> np.ndarray:
        """Nothing is drawn."""
        return color_ops.solarize(img, self.threshold)


@TRANSFORMS.register_module()
class SemiToGray(ColorOp):
    """Luma in all three channels."""

    def change(self, img: np.ndarray) -> np.ndarray:
        """Nothing is drawn."""
        return color_ops.to_gray(img)


@TRANSFORMS.register_module()
class SemiPhotoMetricDistortion(ColorOp):
    """mmseg's ``PhotoMetricDistortion``, which leaves the padding its color.

    Args:
        **kwargs: Arguments of mmseg's.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.distortion = PhotoMetricDistortion(**kwargs)

    def change(self, img: np.ndarray) -> np.ndarray:
        """Draw what mmseg's draws."""
        bgr = np.ascontiguousarray(img[..., ::-1])
        return self.distortion({'img': bgr})['img'][..., ::-1]


@TRANSFORMS.register_module()
class WeightedChoice(RandomChoice):
    """Exactly one of several transforms, drawn with given weights.

    Like albumentations 1.x's ``SomeOf(n=1)``, where the ``p`` of the operations act as
    weights and the chosen one is forced (mkd.md, section 9.1 and quirk 13).

    Args:
        transforms: Transforms, or lists of transforms.
        weights: A number a transform, at least 0; only their ratios count.

    Raises:
        ValueError: If there is not a weight a transform, or none is above 0.
    """

    def __init__(self, transforms: Sequence[Any], weights: Sequence[float]) -> None:
        super().__init__(list(transforms))
        if len(weights) != len(self.transforms) or min(weights) < 0 or not any(weights):
            raise ValueError(
                f'weights must be {len(self.transforms)} numbers of at least 0, not '
                f'all 0, got {weights}'
            )
        self.prob = [weight / sum(weights) for weight in weights]
