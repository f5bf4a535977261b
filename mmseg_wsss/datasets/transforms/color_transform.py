import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from .valid_area import bounding_box


class ColorTransform(BaseTransform):
    """Base class of color transforms that leave the padding of a crop unchanged.

    Images are loaded as BGR; :meth:`change` gets RGB, as in the papers' code. Images
    with another number of channels are not reordered. Padding does not count in
    histograms and means, since the papers pad after the color transforms. Random
    numbers come from NumPy's global generator.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img``, (H, W) or (H, W, channels), uint8.

        Raises:
            TypeError: If the image is not uint8.
            ValueError: If the transform is undefined for its number of channels.
        """
        img = results['img']
        if img.dtype != np.uint8:
            raise TypeError(
                f'{type(self).__name__} needs an image of uint8, got {img.dtype}; '
                'remove to_float32 from the loading transform, and this transform from '
                'the pipeline of images with more than 8 bits'
            )
        channels = img.shape[2] if img.ndim == 3 else 1
        color = self.needs_color() if channels != 3 else ''
        if color:
            raise ValueError(
                f'{results.get("img_path", "image")}: {type(self).__name__} needs an '
                f'RGB image, got {channels} channel(s): {color}'
            )
        box = slice(None), slice(None)
        if 'valid_map' in results:
            top, bottom, left, right = bounding_box(results['valid_map'])
            box = slice(top, bottom), slice(left, right)
        if img[box].size:
            area = np.ascontiguousarray(img[box])
            area = area.reshape(*area.shape[:2], channels)
            changed = swap_rgb(self.change(swap_rgb(area)).reshape(area.shape))
            img = img.copy() if area.size < img.size else np.empty_like(img)
            img[box] = changed.reshape(img[box].shape)
        results['img'] = img
        return results

    def needs_color(self) -> str:
        """Return the remedy for images that are not RGB; empty if they need not be."""
        return ''

    def change(self, img: np.ndarray) -> np.ndarray:
        """Return a new image; ``img`` is RGB (h, w, 3) uint8, not empty."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'


def swap_rgb(img: np.ndarray) -> np.ndarray:
    """Convert BGR (h, w, 3) to RGB or back; return other numbers of channels as is."""
    return cv2.cvtColor(img, cv2.COLOR_BGR2RGB) if img.shape[2] == 3 else img
