from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropPad(BaseTransform):
    """Cut a random window of fixed size, padded where the image is smaller.

    Along a side that is longer than the crop the window is drawn uniformly; along a
    shorter one the image lies at a random place in the crop. ``valid_map`` is 1
    where the crop shows the image; it is made here if ``LoadImageStrict`` did not make
    it. Source: asdt.md, section 8; tscd.md, section 10.

    Args:
        crop_size: (height, width) of the result in pixels.
        pad_val: Color of the padding, in the channel order and range of the loaded
            image. The default is ImageNet's mean (BGR), which is 0 once normalized.
        seg_pad_val: Label of the padding.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        pad_val: Sequence[float] = (104, 116, 124),
        seg_pad_val: int = 255,
    ) -> None:
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ValueError(f'crop_size must be two positive sizes, got {crop_size}')
        self.crop_size = tuple(crop_size)
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def transform(self, results: dict) -> dict:
        """Crop ``img``, every map of ``seg_fields`` and ``valid_map``."""
        img = results['img']
        fields = results.setdefault('seg_fields', [])
        if 'valid_map' not in fields:
            results['valid_map'] = np.ones(img.shape[:2], dtype=np.uint8)
            fields.append('valid_map')
        spans = [
            self._place(have, want) for have, want in zip(img.shape, self.crop_size)
        ]
        results['img'] = self._cut(img, spans, self.pad_val)
        for key in fields:
            pad_val = 0 if key == 'valid_map' else self.seg_pad_val
            results[key] = self._cut(results[key], spans, pad_val)
        results['img_shape'] = self.crop_size
        results['pad_shape'] = self.crop_size
        return results

    @staticmethod
    def _place(have: int, want: int) -> tuple[slice, slice]:
        """Slice of the source and slice of the crop along one side."""
        shift = np.random.randint(abs(have - want) + 1)
        if have > want:
            return slice(shift, shift + want), slice(0, want)
        return slice(0, have), slice(shift, shift + have)

    def _cut(
        self,
        array: np.ndarray,
        spans: list[tuple[slice, slice]],
        pad_val: float | Sequence[float],
    ) -> np.ndarray:
        crop = np.empty((*self.crop_size, *array.shape[2:]), dtype=array.dtype)
        crop[...] = pad_val
        (rows, to_rows), (cols, to_cols) = spans
        crop[to_rows, to_cols] = array[rows, cols]
        return crop

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, '
            f'pad_val={self.pad_val}, seg_pad_val={self.seg_pad_val})'
        )
