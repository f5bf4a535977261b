from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import Resize

from mmseg_wsss.registry import TRANSFORMS
from mmseg_wsss.utils.settings import check_value


@TRANSFORMS.register_module()
class RandomRescale(BaseTransform):
    """Resize an image by a random factor, keeping its aspect ratio.

    mmseg's ``RandomResize`` scales a fixed target size instead. Factors: 0.7 to 1.3 in
    ASDT (https://arxiv.org/abs/2112.09459), 0.5 to 2 in TSCD
    (https://arxiv.org/abs/2302.13765) and MKD (https://arxiv.org/abs/2208.11499).

    Args:
        ratio_range: Bounds of the factor, which is uniform.
        batch_size: Total batch size over all ranks, to use one factor for all images of
            a batch as ASDT's released code does; by default each image has its own
            factor. Needs the sample keys of ``EndlessSampler``.
        backend: Library for bilinear resizing: ``'cv2'``, or ``'pillow'``, which
            averages over larger areas when shrinking, as AFA's and TSCD's released code
            does, and requires images (H, W) or (H, W, 3) of uint8.

    Raises:
        ValueError: If the bounds are not 0 < low <= high, ``batch_size`` is below 1,
            or ``backend`` is unknown.
    """

    def __init__(
        self,
        ratio_range: tuple[float, float],
        batch_size: int | None = None,
        backend: str = 'cv2',
    ) -> None:
        if len(ratio_range) != 2 or not 0 < ratio_range[0] <= ratio_range[1]:
            raise ValueError(
                f'ratio_range must be 0 < low <= high, got {tuple(ratio_range)}'
            )
        if batch_size is not None and batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        check_value('backend', backend, choices=('cv2', 'pillow'))
        self.ratio_range = tuple(ratio_range)
        self.batch_size = batch_size
        self.resize = Resize(scale=(1, 1), keep_ratio=False, backend=backend)

    def transform(self, results: dict) -> dict:
        """Resize ``img`` and every map of ``seg_fields``.

        Raises:
            ValueError: If ``backend='pillow'`` cannot resize the image (the message
                names the file), or sample keys are needed and missing.
        """
        img = results['img']
        if self.resize.backend == 'pillow' and (
            img.dtype != np.uint8 or img.shape[2:] not in ((), (3,))
        ):
            raise ValueError(
                f"{results.get('img_path', 'image')}: backend='pillow' resizes images "
                f'(H, W) or (H, W, 3) of bytes, found {img.dtype} of shape '
                f"{img.shape}; set backend='cv2' in RandomRescale"
            )
        ratio = self._generator(results).uniform(*self.ratio_range)
        height, width = results['img'].shape[:2]
        self.resize.scale = (
            max(round(width * ratio), 1),
            max(round(height * ratio), 1),
        )
        return self.resize(results)

    def _generator(self, results: dict) -> Any:
        if self.batch_size is None:
            return np.random
        if not results.get('sample_key'):
            raise ValueError(
                'RandomRescale(batch_size=...) needs the sample keys of EndlessSampler '
                'and WeakDataset; use both in the data loader'
            )
        seed, number = results['sample_key']
        return np.random.default_rng((seed, number // self.batch_size))

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(ratio_range={self.ratio_range}, '
            f'batch_size={self.batch_size}, backend={self.resize.backend!r})'
        )
