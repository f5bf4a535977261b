"""The valid area of a crop: the pixels inside the image, without padding."""

import numpy as np


def add_valid_map(results: dict) -> None:
    """Add ``valid_map`` (H, W) uint8, 1 everywhere, unless it exists already.

    It is listed in ``seg_fields``, so that mmseg's geometric transforms apply to it;
    they fill new pixels with another value.
    """
    fields = results.setdefault('seg_fields', [])
    if 'valid_map' not in fields:
        results['valid_map'] = np.ones(results['img'].shape[:2], dtype=np.uint8)
        fields.append('valid_map')


def bounding_box(valid_map: np.ndarray) -> tuple[int, int, int, int]:
    """Return the smallest box around all pixels of value 1 or True.

    Args:
        valid_map: Map (H, W).

    Returns:
        (row0, row1, col0, col1), ends exclusive; zeros if there is no such pixel.
    """
    valid = valid_map == 1  # mmseg's transforms fill new pixels with 255
    rows, cols = np.flatnonzero(valid.any(1)), np.flatnonzero(valid.any(0))
    if rows.size == 0:
        return 0, 0, 0, 0
    return int(rows[0]), int(rows[-1]) + 1, int(cols[0]), int(cols[-1]) + 1
