"""Label maps on disk: one class index a pixel, as palette or gray images."""

import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_wsss.utils.files import atomic_write

StrPath = str | os.PathLike[str]

# Modes of Pillow whose array is one integer a pixel.
LABEL_MODES = ('P', 'L', '1', 'I', 'I;16')


IGNORED_COLOR = (224, 224, 192)  # as in VOC

# What Pillow raises for files that are missing, broken, or absurdly large.
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
    """Open an image of which no byte is missing; pixels are read when asked for.

    Pillow shows PNG files that end too early, or are damaged, as long as they have
    enough pixels; here check sums must be right, and the end mark must be there.

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
        ValueError: The file is missing, broken, or a color image; names the file.
    """
    try:
        with open_whole(path) as image:
            mode, labels = image.mode, np.asarray(image)
    except IMAGE_ERRORS as error:
        raise ValueError(f'{path}: unreadable label map: {error}') from error
    if mode not in LABEL_MODES:
        raise ValueError(
            f'{path}: expected a palette or gray label map (modes '
            f'{", ".join(LABEL_MODES)}), found mode {mode}'
        )
    return labels.astype(np.uint8) if labels.dtype == bool else labels


def write_label_map(
    path: StrPath, labels: np.ndarray, palette: Sequence[Sequence[int]] | None = None
) -> None:
    """Write a label map as PNG, whole or not at all.

    Args:
        path: The file.
        labels: Labels of shape (H, W), uint8.
        palette: RGB colors of the classes, for viewers; gray values where None.

    Raises:
        ValueError: ``labels`` is not (H, W) uint8.
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


@dataclass(frozen=True)
class LabelRule:
    """Which values a label map may hold, and which tag each of them means.

    Args:
        num_tags: Number K of foreground classes.
        background: Whether there is a background class before them; it is no tag.
        reduce_zero_label: Whether 0 means "unlabeled" and all others are one lower
            than they read, as in mmseg (COCO-Stuff 10K, ADE20K).
        ignore_index: The value of pixels without a label.
    """

    num_tags: int
    background: bool = True
    reduce_zero_label: bool = False
    ignore_index: int = 255

    @property
    def offset(self) -> int:
        """The value that means tag 0; smaller ones mean no tag."""
        return int(self.background) + int(self.reduce_zero_label)

    @property
    def maximum(self) -> int:
        """Largest value that is a label."""
        return self.offset + self.num_tags - 1

    def outside(self, values: np.ndarray) -> list[int]:
        """Those of ``values`` that a label map must not hold."""
        bad = (values < 0) | (values > self.maximum)
        return values[bad & (values != self.ignore_index)].tolist()

    def tags(self, values: np.ndarray) -> list[int]:
        """Tag indices in [0, K) of those of ``values`` that mean one."""
        good = (values >= self.offset) & (values <= self.maximum)
        return (values[good & (values != self.ignore_index)] - self.offset).tolist()

    def complaint(self, values: np.ndarray) -> str | None:
        """What is wrong with a label map of these values, if anything."""
        outside = self.outside(values)
        if not outside:
            return None
        return (
            f'labels {outside} outside [0, {self.maximum}] and not '
            f'{self.ignore_index} (ignored)'
        )


def files_below(folder: StrPath, suffix: str) -> dict[str, Path]:
    """Files below a folder by image: their relative path without ``suffix``.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder')
    found = sorted(path for path in folder.rglob('*') if path.name.endswith(suffix))
    return {p.relative_to(folder).as_posix()[: -len(suffix)]: p for p in found}
