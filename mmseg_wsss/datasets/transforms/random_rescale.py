import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import Resize

from mmseg_wsss.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomRescale(BaseTransform):
    """Resize a picture by a random factor of its own size, keeping its proportions.

    mmseg's ``RandomResize`` draws a factor of a fixed target size instead. Source:
    asdt.md, section 8 (0.7 to 1.3); tscd.md, section 10 (0.5 to 2).

    Args:
        ratio_range: Bounds of the factor, which is drawn uniformly.
    """

    def __init__(self, ratio_range: tuple[float, float]) -> None:
        if len(ratio_range) != 2 or not 0 < ratio_range[0] <= ratio_range[1]:
            raise ValueError(
                f'ratio_range must be 0 < low <= high, got {tuple(ratio_range)}'
            )
        self.ratio_range = tuple(ratio_range)
        self.resize = Resize(scale=(1, 1), keep_ratio=False)

    def transform(self, results: dict) -> dict:
        """Resize ``img`` and every map of ``seg_fields``."""
        ratio = np.random.uniform(*self.ratio_range)
        height, width = results['img'].shape[:2]
        self.resize.scale = (
            max(round(width * ratio), 1),
            max(round(height * ratio), 1),
        )
        return self.resize(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(ratio_range={self.ratio_range})'
