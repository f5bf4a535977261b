import numpy as np

from mmseg_wsss.registry import TRANSFORMS
from mmseg_wsss.utils.settings import check_value

from . import color_ops
from .color_transform import ColorTransform


@TRANSFORMS.register_module()
class SemiSolarize(ColorTransform):
    """Invert the bright levels.

    Args:
        threshold: Lowest level that is inverted, in [0, 256].

    Raises:
        ValueError: If ``threshold`` is out of range.
    """

    def __init__(self, threshold: int = 128) -> None:
        check_value('threshold', threshold, at_least=0, at_most=256)
        self.threshold = threshold

    def change(self, img: np.ndarray) -> np.ndarray:
        """Invert deterministically."""
        return color_ops.solarize(img, self.threshold)
