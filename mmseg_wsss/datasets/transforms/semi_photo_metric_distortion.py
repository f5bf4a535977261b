from typing import Any

import numpy as np
from mmseg.datasets.transforms import PhotoMetricDistortion

from mmseg_wsss.registry import TRANSFORMS

from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiPhotoMetricDistortion(ColorTransform):
    """mmseg's ``PhotoMetricDistortion`` without changes to the padding.

    Args:
        **kwargs: Arguments of mmseg's ``PhotoMetricDistortion``.
    """

    def __init__(self, **kwargs: Any) -> None:
        self.distortion = PhotoMetricDistortion(**kwargs)

    def needs_color(self) -> str:
        """Return what to change where images are not RGB."""
        return 'remove it from the pipeline'

    def change(self, img: np.ndarray) -> np.ndarray:
        """Apply mmseg's transform, which expects BGR."""
        bgr = np.ascontiguousarray(img[..., ::-1])
        return self.distortion({'img': bgr})['img'][..., ::-1]
