import numpy as np

from mmseg_wsss.registry import TRANSFORMS

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiToGray(ColorTransform):
    """Replace all three channels by the luma."""

    def needs_color(self) -> str:
        """Return the remedy for images that are not RGB."""
        return 'remove it from the pipeline'

    def change(self, img: np.ndarray) -> np.ndarray:
        """Convert deterministically."""
        return color_ops.to_gray(img)
