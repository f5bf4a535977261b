"""Color operations on RGB images (H, W, 3) uint8; each returns a new image.

Brightness, contrast, ``equalize``, ``solarize`` and ``blur`` accept any number of
channels; OpenCV may drop the axis of a single one.
"""

import cv2
import numpy as np

GRAY = (0.299, 0.587, 0.114)  # weights of R, G, B (ITU-R BT.601)


def to_gray(img: np.ndarray) -> np.ndarray:
    """Replace all three channels by the luma."""
    gray = cv2.cvtColor(img, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)


def adjust_brightness(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black; a factor of 0 gives black, 1 the image itself."""
    return _apply_table(img, factor * np.arange(256))


def adjust_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean luma of the image; a factor of 0 gives uniform gray.

    Images that are not RGB are blended with the mean of all channels.
    """
    is_rgb = img.ndim == 3 and img.shape[2] == 3
    mean = float(np.dot(cv2.mean(img)[:3], GRAY)) if is_rgb else float(img.mean())
    return _apply_table(img, mean + factor * (np.arange(256) - mean))


def adjust_saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the luma of each pixel; a factor of 0 gives a gray image."""
    return cv2.addWeighted(img, factor, to_gray(img), 1 - factor, 0)


def shift_hue(img: np.ndarray, rotation: float) -> np.ndarray:
    """Rotate the hue by a fraction of the color circle, in [-1, 1]."""
    # In float32: with uint8 hues of OpenCV, even no rotation changes up to 10 levels.
    hsv = cv2.cvtColor(img.astype(np.float32), cv2.COLOR_RGB2HSV)
    hue = hsv[..., 0] + 360 * rotation
    hue[hue >= 360] -= 360  # the modulo by 360, in a third of its time
    hue[hue < 0] += 360
    hsv[..., 0] = hue
    return cv2.convertScaleAbs(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def equalize(img: np.ndarray) -> np.ndarray:
    """Equalize the histogram of each channel separately.

    Level ``v`` becomes ``255 * (n(v) - n(v0)) / (n - n(v0))``, rounded, with ``n(v)``
    the number of pixels of level ``v`` or less, ``n`` the number of all pixels and
    ``v0`` the lowest level.
    """
    return np.stack([cv2.equalizeHist(channel) for channel in cv2.split(img)], axis=2)


def solarize(img: np.ndarray, threshold: int) -> np.ndarray:
    """Invert the levels of at least ``threshold``."""
    levels = np.arange(256)
    return _apply_table(img, np.where(levels < threshold, levels, 255 - levels))


def blur(img: np.ndarray, sigma: float, kernel: int | None = None) -> np.ndarray:
    """Blur with a Gaussian.

    Args:
        img: The image.
        sigma: Standard deviation in pixels, above 0.
        kernel: Side of the kernel in pixels, odd; by default about ``6 * sigma``.
    """
    return cv2.GaussianBlur(img, (kernel or 0,) * 2, sigma)


def _apply_table(img: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return cv2.LUT(img, levels.round().clip(0, 255).astype(np.uint8))
