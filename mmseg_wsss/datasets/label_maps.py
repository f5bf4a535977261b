"""Label maps on disk: one class index per pixel, as palette or gray images."""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmseg_wsss.utils.files import StrPath, atomic_write

# Modes of Pillow with one integer per pixel.
LABEL_MODES = ('P', 'L', '1', 'I', 'I;16')

IGNORED_COLOR = (224, 224, 192)  # as in VOC

# Errors of Pillow for files that are missing, broken or too large.
IMAGE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def open_whole(path: StrPath) -> Image.Image:
    """Open an image file after checking that it is complete; pixels are read lazily.

    Pillow decodes truncated or damaged PNG files as long as they have enough pixels;
    here the checksums must be right and the end marker must be present.

    Raises:
        OSError, SyntaxError, DecompressionBombError: See ``IMAGE_ERRORS``.
    """
    image = Image.open(path)
    if image.format != 'PNG':
        return image
    with image:
        image.verify()
    return Image.open(path)


def read_label_map(path: StrPath) -> np.ndarray:
    """Read a label map: palette indices or gray values, not colors.

    Args:
        path: PNG or other lossless image.

    Returns:
        Integer array of shape (H, W).

    Raises:
        ValueError: If the file is missing, broken, a JPEG or a color image; the message
            names it.
    """
    try:
        with open_whole(path) as image:
            require_lossless(image)
            mode, labels = image.mode, np.asarray(image)
    except IMAGE_ERRORS as error:
        raise ValueError(f'{path}: unreadable label map: {error}') from error
    if mode not in LABEL_MODES:
        raise ValueError(
            f'{path}: expected a palette or gray label map (modes '
            f'{", ".join(LABEL_MODES)}), found mode {mode}'
        )
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def require_lossless(image: Image.Image) -> None:
    """Check that the format of a label map preserves the labels that were saved.

    Raises:
        ValueError: If it is a JPEG file.
    """
    if image.format in ('JPEG', 'MPO'):
        raise ValueError('JPEG changes labels; save the mask as PNG')


def write_label_map(
    path: StrPath, labels: np.ndarray, palette: Sequence[Sequence[int]] | None = None
) -> None:
    """Write a label map as PNG, atomically.

    Args:
        path: The file.
        labels: Labels of shape (H, W), uint8.
        palette: RGB colors of the classes, for viewers; None writes gray values.

    Raises:
        ValueError: If ``labels`` is not (H, W) uint8.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(
            f'{path}: expected labels (H, W) uint8, got {labels.shape} {labels.dtype}'
        )
    image = Image.fromarray(labels)
    if palette is not None:
        colors = [*palette, *[(0, 0, 0)] * (255 - len(palette)), IGNORED_COLOR]
        image.putpalette([value for color in colors for value in color])
    with atomic_write(path) as file:
        image.save(file, format='PNG')


def label_digest(labels: np.ndarray) -> str:
    """Return width, height and 8 digits of the SHA-256 of labels (H, W) uint8."""
    height, width = labels.shape
    digest = hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest()
    return f'{width} {height} {digest[:8]}'


def voc_palette(num_classes: int) -> list[list[int]]:
    """Return the RGB colors of the first labels in the palette of PASCAL VOC.

    Example:
        >>> voc_palette(3)
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    return [
        [
            sum((label >> 3 * bit + channel & 1) << 7 - bit for bit in range(3))
            for channel in range(3)
        ]
        for label in range(num_classes)
    ]


@dataclass(frozen=True)
class LabelRule:
    """Valid values of a label map and the tags they stand for.

    Args:
        num_tags: Number K of foreground classes.
        background: Whether a background class, which is not a tag, precedes them.
        reduce_zero_label: Whether 0 means "unlabeled" and all labels are stored
            increased by one, as in mmseg (COCO-Stuff 10K, ADE20K).
        ignore_index: Value of pixels without a label.

    Examples:
        >>> rule = LabelRule(num_tags=2)
        >>> rule.tags(np.array([0, 2, 255]))
        [1]
        >>> rule.problem(np.array([0, 7]))
        'labels [7] outside [0, 2] and not 255 (ignored)'
    """

    num_tags: int
    background: bool = True
    reduce_zero_label: bool = False
    ignore_index: int = 255

    @property
    def offset(self) -> int:
        """Value of tag 0; smaller values are not tags."""
        return int(self.background) + int(self.reduce_zero_label)

    @property
    def maximum(self) -> int:
        """Largest valid label."""
        return self.offset + self.num_tags - 1

    def tags(self, values: np.ndarray) -> list[int]:
        """Return the tag indices in [0, K) that occur among ``values``."""
        is_tag = (values >= self.offset) & (values <= self.maximum)
        return (values[is_tag & (values != self.ignore_index)] - self.offset).tolist()

    def problem(self, values: np.ndarray) -> str | None:
        """Return a message about invalid values, None if all are valid."""
        outside = (values < 0) | (values > self.maximum)
        invalid = values[outside & (values != self.ignore_index)].tolist()
        if not invalid:
            return None
        return (
            f'labels {invalid} outside [0, {self.maximum}] and not '
            f'{self.ignore_index} (ignored)'
        )
