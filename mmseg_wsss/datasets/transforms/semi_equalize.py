import numpy as np

from mmseg_wsss.registry import TRANSFORMS

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiEqualize(ColorTransform):
    """Equalize the histogram of each channel."""

    def change(self, img: np.ndarray) -> np.ndarray:
        """Equalize deterministically."""
        return color_ops.equalize(img)
