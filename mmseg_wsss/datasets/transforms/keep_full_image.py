import mmcv
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS


@TRANSFORMS.register_module()
class KeepFullImage(BaseTransform):
    """Keep a copy of the whole image, resized without regard to its proportions.

    Put it right after loading. It serves ``crf_guide='resized_full'``, the guide of
    ASDT's released code (asdt.md, section 5.2).

    Args:
        size: (height, width) of the copy: the crop size of the pipeline.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = tuple(size)

    def transform(self, results: dict) -> dict:
        """Add ``full_img`` (H, W, 3), in the channel order of the loaded image."""
        results['full_img'] = mmcv.imresize(results['img'], self.size[::-1])
        return results
