from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform

from mmseg_wsss.registry import TRANSFORMS
from mmseg_wsss.utils.labels import IGNORE_INDEX

from .valid_area import add_valid_map


@TRANSFORMS.register_module()
class RandomCropPad(BaseTransform):
    """Crop a random window of fixed size and pad images that are smaller.

    Along a side that is longer than the crop, the position of the window is uniform;
    along a shorter side, the position of the image inside the crop is uniform.
    ``valid_map`` is 1 inside the image; it is added if ``LoadImageStrict`` has not
    added it. Used by ASDT (https://arxiv.org/abs/2112.09459) and TSCD
    (https://arxiv.org/abs/2302.13765).

    Args:
        crop_size: (height, width) of the result in pixels.
        pad_val: Color of the padding, in the channel order and range of the loaded
            image: one number per channel, or one for all. The default is ImageNet's
            mean (BGR), which is 0 once normalized.

    Raises:
        ValueError: If ``crop_size`` is invalid, or the image has another number of
            channels than ``pad_val``.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        pad_val: float | Sequence[float] = (104, 116, 124),
    ) -> None:
        if len(crop_size) != 2 or min(crop_size) < 1:
            raise ValueError(f'crop_size must be two positive sizes, got {crop_size}')
        self.crop_size = tuple(crop_size)
        self.pad_val = pad_val

    def transform(self, results: dict) -> dict:
        """Crop ``img``, every map of ``seg_fields`` and ``valid_map``.

        Labels of the padding are 255.
        """
        add_valid_map(results)
        img = results['img']
        channels = img.shape[2] if img.ndim == 3 else 1
        if np.size(self.pad_val) not in (1, channels):
            raise ValueError(
                f'{results.get("img_path", "image")}: {type(self).__name__} needs one '
                f'pad_val per channel, got pad_val={self.pad_val} for {channels} '
                'channel(s); set pad_val in the range of the image, e.g. to the mean '
                'of the data preprocessor'
            )
        spans = [
            self._place(have, want) for have, want in zip(img.shape, self.crop_size)
        ]
        results['img'] = self._cut(img, spans, self.pad_val)
        for key in results['seg_fields']:
            pad_val = 0 if key == 'valid_map' else IGNORE_INDEX
            results[key] = self._cut(results[key], spans, pad_val)
        results['img_shape'] = self.crop_size
        results['pad_shape'] = self.crop_size
        return results

    @staticmethod
    def _place(have: int, want: int) -> tuple[slice, slice]:
        """Return the slice of the image and of the crop along one side."""
        offset = np.random.randint(abs(have - want) + 1)
        if have > want:
            return slice(offset, offset + want), slice(0, want)
        return slice(0, have), slice(offset, offset + have)

    def _cut(
        self,
        array: np.ndarray,
        spans: list[tuple[slice, slice]],
        pad_val: float | Sequence[float],
    ) -> np.ndarray:
        crop = np.empty((*self.crop_size, *array.shape[2:]), dtype=array.dtype)
        (rows, to_rows), (cols, to_cols) = spans
        if array[rows, cols].shape != crop.shape:
            # The first row, then copies of it: NumPy fills pixel by pixel otherwise.
            crop[0] = pad_val if array.ndim == 3 else np.ravel(pad_val)[0]
            crop[1:] = crop[0]
        crop[to_rows, to_cols] = array[rows, cols]
        return crop

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, pad_val={self.pad_val})'
        )
