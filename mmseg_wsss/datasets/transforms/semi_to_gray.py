import numpy as np

from mmseg_wsss.registry import TRANSFORMS

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiToGray(ColorTransform):
    """Replace all three channels by the luma."""

    def change(self, img: np.ndarray) -> np.ndarray:
        """Convert; nothing is random."""
        return color_ops.to_gray(img)
