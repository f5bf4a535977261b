import mmcv
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS


@TRANSFORMS.register_module()
class KeepFullImage(BaseTransform):
    """Keep a copy of the whole image, resized to the crop size.

    The copy guides the CRF in ASDT's released code (``crf_guide='resized_full'``); its
    aspect ratio is not preserved. Put this transform right after loading. Source: Zhang
    et al., "Weakly Supervised Semantic Segmentation via Alternate Self-Dual Teaching",
    https://arxiv.org/abs/2112.09459.

    Args:
        size: (height, width) of the copy in pixels: the crop size of the pipeline.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = tuple(size)

    def transform(self, results: dict) -> dict:
        """Add ``full_img`` (H, W, channels), in the channel order of the image."""
        full_img = mmcv.imresize(results['img'], self.size[::-1])
        results['full_img'] = full_img.reshape(*full_img.shape[:2], -1)
        return results
