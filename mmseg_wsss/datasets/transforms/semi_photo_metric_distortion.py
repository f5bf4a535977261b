from typing import Any

import cv2
import mmcv
import numpy as np
from mmseg.datasets.transforms import PhotoMetricDistortion

from mmseg_wsss.registry import TRANSFORMS

from .color_transform import ColorTransform, swap_rgb


@TRANSFORMS.register_module()
class SemiPhotoMetricDistortion(ColorTransform):
    """mmseg's ``PhotoMetricDistortion`` without changes to the padding.

    Args:
        **kwargs: Arguments of mmseg's ``PhotoMetricDistortion``.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.distortion = _Distortion(**kwargs)

    def needs_color(self) -> str:
        """Return the remedy for images that are not RGB."""
        return 'remove it from the pipeline'

    def change(self, img: np.ndarray) -> np.ndarray:
        """Apply mmseg's transform, which expects BGR."""
        return swap_rgb(self.distortion({'img': swap_rgb(img)})['img'])


class _Distortion(PhotoMetricDistortion):
    """mmseg's transform through tables of 256 levels: the same result, but faster."""

    def convert(self, img: np.ndarray, alpha: float = 1, beta: float = 0) -> np.ndarray:
        levels = np.arange(256, dtype=np.uint8)
        return cv2.LUT(img, super().convert(levels, alpha, beta))

    def hue(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2):
            return img
        img = mmcv.bgr2hsv(img)
        shift = np.random.randint(-self.hue_delta, self.hue_delta)
        levels = ((np.arange(256) + shift) % 180).astype(np.uint8)
        img[..., 0] = cv2.LUT(img[..., 0], levels)
        return mmcv.hsv2bgr(img)
