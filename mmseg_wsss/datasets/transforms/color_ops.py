"""Color operations on RGB images (H, W, 3) uint8; each returns a new image."""

import cv2
import numpy as np

GRAY = (0.299, 0.587, 0.114)  # weights of R, G, B (ITU-R BT.601)


def to_gray(img: np.ndarray) -> np.ndarray:
    """Luma in all three channels."""
    gray = cv2.cvtColor(img, cv2.COLOR_RGB2GRAY)
    return np.repeat(gray[..., None], 3, axis=2)


def adjust_brightness(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with black: 0 gives black, 1 the image itself."""
    return _look_up(img, factor * np.arange(256))


def adjust_contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the mean luma of the image: 0 gives a gray area."""
    mean = float(np.dot(cv2.mean(img)[:3], GRAY))
    return _look_up(img, mean + factor * (np.arange(256) - mean))


def adjust_saturation(img: np.ndarray, factor: float) -> np.ndarray:
    """Blend with the luma of each pixel: 0 gives a gray image."""
    return cv2.addWeighted(img, factor, to_gray(img), 1 - factor, 0)


def shift_hue(img: np.ndarray, turn: float) -> np.ndarray:
    """Turn the hue by this share of the color circle, in [-1, 1]."""
    # In float32: OpenCV's bytes of hue are up to 10 levels off, without any turn.
    hsv = cv2.cvtColor(img.astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * turn) % 360
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).round().clip(0, 255).astype(np.uint8)


def equalize(img: np.ndarray) -> np.ndarray:
    """Equalise the histogram of each channel on its own.

    Level ``v`` becomes ``255 * (n(v) - n(v0)) / (n - n(v0))``, rounded, where ``n(v)``
    pixels have level ``v`` or less, ``n`` there are, and ``v0`` is the lowest level.
    """
    return np.stack([cv2.equalizeHist(channel) for channel in cv2.split(img)], axis=2)


def solarize(img: np.ndarray, threshold: int) -> np.ndarray:
    """Invert the levels from ``threshold`` on."""
    levels = np.arange(256)
    return _look_up(img, np.where(levels < threshold, levels, 255 - levels))


def blur(img: np.ndarray, sigma: float, kernel: int | None = None) -> np.ndarray:
    """Gaussian blur.

    Args:
        img: The image.
        sigma: Standard deviation in pixels, above 0.
        kernel: Side of the kernel in pixels, odd; by default about ``6 * sigma``.
    """
    return cv2.GaussianBlur(img, (kernel or 0,) * 2, sigma)


def _look_up(img: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return cv2.LUT(img, levels.round().clip(0, 255).astype(np.uint8))
