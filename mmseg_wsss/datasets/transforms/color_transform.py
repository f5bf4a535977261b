import numpy as np
from mmcv.transforms import BaseTransform

from .valid_area import bounding_box


class ColorTransform(BaseTransform):
    """Base class of color transforms that leave the padding of a crop unchanged.

    Images are loaded as BGR; :meth:`change` gets RGB, as the image libraries of the
    papers' code do. Padding does not count in histograms and means, since the papers
    pad after the color transforms. Random numbers are NumPy's.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img`` (H, W, 3) uint8.

        Raises:
            TypeError: If the image is not uint8.
        """
        img = results['img']
        if img.dtype != np.uint8:
            raise TypeError(
                f'{type(self).__name__} needs an image of uint8, got {img.dtype}; '
                'remove to_float32 from the loading transform'
            )
        box = slice(None), slice(None)
        if 'valid_map' in results:
            top, bottom, left, right = bounding_box(results['valid_map'])
            box = slice(top, bottom), slice(left, right)
        if img[box].size:
            rgb = np.ascontiguousarray(img[box][..., ::-1])
            img = img.copy()
            img[box] = self.change(rgb)[..., ::-1]
        results['img'] = img
        return results

    def change(self, img: np.ndarray) -> np.ndarray:
        """Return a new image; ``img`` is RGB (h, w, 3) uint8, not empty."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'
