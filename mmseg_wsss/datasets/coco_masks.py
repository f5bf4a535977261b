"""Masks as COCO stores them: polygons, and run lengths as numbers or as text.

The text form has 5 bits of a number per character and stores the difference to the run
before the last one, as in the COCO API (https://github.com/cocodataset/cocoapi).
"""

from typing import Any

import cv2
import numpy as np

SUBPIXELS = 4  # resolution at which polygons are filled, per pixel


def decode_mask(
    segmentation: list | dict[str, Any], height: int, width: int
) -> np.ndarray:
    """Decode polygons or run lengths.

    A pixel belongs to a polygon if its center lies inside, to a quarter of a pixel;
    COCO's own tools may differ by a pixel along the boundary.

    Args:
        segmentation: Polygons ``[[x, y, x, y, ...], ...]``, or run lengths
            ``{'size': [height, width], 'counts': numbers or text}`` down the columns,
            starting outside the mask; ``size`` may be missing.
        height: Height H of the image in pixels.
        width: Width W of the image in pixels.

    Returns:
        Mask (H, W) uint8, 0 or 1.

    Raises:
        ValueError: If the segmentation is neither, or has another size.

    Example:
        >>> decode_mask({'size': [2, 3], 'counts': [1, 3, 2]}, 2, 3).tolist()
        [[0, 1, 0], [1, 1, 0]]
        >>> decode_mask({'size': [2, 3], 'counts': '132'}, 2, 3).tolist()
        [[0, 1, 0], [1, 1, 0]]
    """
    if isinstance(segmentation, list):
        return _decode_polygons(segmentation, height, width)
    if not isinstance(segmentation, dict) or 'counts' not in segmentation:
        raise ValueError(
            'expected polygons [[x, y, ...]] or run lengths {"size", "counts"}, found '
            f'{str(segmentation)[:60]}'
        )
    size = segmentation.get('size', [height, width])
    counts = segmentation['counts']
    if isinstance(counts, str):
        counts = _parse_counts(counts)
    counts = np.asarray(counts)
    if counts.size and (counts.dtype.kind not in 'iu' or counts.min() < 0):
        raise ValueError('expected run lengths of whole numbers from 0 on')
    if list(size) != [height, width] or counts.sum() != height * width:
        raise ValueError(
            f'expected run lengths of {height}x{width} pixels, found the size {size} '
            f'and {int(counts.sum())} pixels'
        )
    values = np.arange(len(counts), dtype=np.uint8) % 2
    return np.repeat(values, counts).reshape(width, height).T


def _parse_counts(text: str) -> np.ndarray:
    """Parse the text form of run lengths."""
    codes = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    more = codes & 32 > 0
    if ((codes < 0) | (codes > 63)).any() or (len(more) and more[-1]):
        raise ValueError(f'expected run lengths as text, found a broken {text[:40]!r}')
    ends = np.flatnonzero(~more)
    starts = np.concatenate([[0], ends + 1])[:-1]
    digit = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    if len(digit) and digit.max() > 6:  # above 2 ** 31 pixels
        raise ValueError(f'expected run lengths as text, found a broken {text[:40]!r}')
    values = (codes & 31) << 5 * digit
    counts = np.add.reduceat(values, starts) if len(starts) else values
    counts -= np.where(codes[ends] & 16, 1 << 5 * (ends - starts + 1), 0)
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    return counts


def _decode_polygons(polygons: list, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        try:
            outline = np.reshape(np.asarray(polygon, np.float64), (-1, 2))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f'expected a polygon [x, y, x, y, ...], found {str(polygon)[:60]}'
            ) from error
        if not np.isfinite(outline).all():
            raise ValueError('expected finite coordinates of polygons, found others')
        if len(outline) > 2:
            _fill_polygon(mask, outline)
    return mask


def _fill_polygon(mask: np.ndarray, outline: np.ndarray) -> None:
    """Set the pixels with centers inside a polygon (N, 2) of x and y."""
    # OpenCV fills the boundary too, half a pixel wide: fill at a higher resolution.
    left, top = np.maximum(np.floor(outline.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(outline.max(0)), mask.shape[::-1]).astype(int)
    if left >= right or top >= bottom:
        return
    fine = np.zeros(((bottom - top) * SUBPIXELS, (right - left) * SUBPIXELS), np.uint8)
    points = (outline - (left, top)) * SUBPIXELS - 0.5
    cv2.fillPoly(fine, [points.round().astype(np.int32)], 1)
    mask[top:bottom, left:right] |= fine[
        SUBPIXELS // 2 :: SUBPIXELS, SUBPIXELS // 2 :: SUBPIXELS
    ]
