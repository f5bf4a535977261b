"""Overlay images with labels and CAMs, and arrange them in titled panels."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Array = np.ndarray | Tensor
Palette = Sequence[Sequence[int]]
IGNORED_COLOR = (255, 255, 255)
MARGIN = 6
TEXT = 15


def draw_labels(img: np.ndarray, label: Array, palette: Palette) -> np.ndarray:
    """Overlay an image with a label map.

    Foreground classes are tinted, the background (class 0, if black in the palette) is
    darkened, and unlabeled pixels are whitened; the image stays visible everywhere.

    Args:
        img: RGB image (H, W, 3), uint8; resized to the size of the labels.
        label: Labels (H, W): integers in ``[0, C)``, other values are unlabeled.
        palette: RGB colors of the C classes.

    Returns:
        RGB image of the size of the labels, uint8.
    """
    label = _array(label).astype(np.int64)
    colors = np.array([*palette, IGNORED_COLOR], dtype=np.float32)
    unlabeled = len(palette)
    label = np.where((label >= 0) & (label < unlabeled), label, unlabeled)
    opacity = np.full(len(colors), 0.6, dtype=np.float32)
    opacity[0] = 0.55 if not any(palette[0]) else 0.6
    opacity[unlabeled] = 0.8
    return _blend(_fit_to(img, label.shape), colors[label], opacity[label])


def draw_cam(img: np.ndarray, cam: Array) -> np.ndarray:
    """Overlay an image with the highest activation of each pixel as a heat map.

    Args:
        img: RGB image (H, W, 3), uint8; resized to the size of the maps.
        cam: Activation maps (K, H, W) in [0, 1].

    Returns:
        RGB image of the size of the maps, uint8.
    """
    score = np.clip(_array(cam).astype(np.float32).max(axis=0), 0, 1)
    heat = matplotlib.colormaps['turbo'](score)[..., :3].astype(np.float32) * 255
    return _blend(_fit_to(img, score.shape), heat, np.full_like(score, 0.6))


def label_row(
    img: np.ndarray,
    labels: Mapping[str, Array],
    palette: Palette,
    cam: Array | None = None,
) -> dict[str, np.ndarray]:
    """Draw the labels of one image, as a row of :func:`panel`.

    Args:
        img: RGB image (H, W, 3), uint8.
        labels: Label maps (H, W) by title.
        palette: RGB colors of the classes.
        cam: Activation maps (K, H, W); None adds no CAM.

    Returns:
        Images by title: ``image``, ``CAM``, then the label maps.
    """
    row = {'image': np.asarray(img)}
    if cam is not None:
        row['CAM'] = draw_cam(img, cam)
    return row | {
        title: draw_labels(img, label, palette) for title, label in labels.items()
    }


def legend_of(
    labels: Sequence[Array], classes: Sequence[str], palette: Palette
) -> dict[str, Sequence[int]]:
    """Return the colors of the classes that occur in label maps, in class order.

    The last entry is ``unlabeled`` if there are unlabeled pixels.
    """
    present = {int(k) for label in labels for k in np.unique(_array(label))}
    legend = {
        name: color
        for index, (name, color) in enumerate(zip(classes, palette))
        if index in present
    }
    if present - set(range(len(classes))):
        legend['unlabeled'] = IGNORED_COLOR
    return legend


def panel(
    rows: Sequence[Mapping[str, np.ndarray]],
    legend: Mapping[str, Sequence[int]] | None = None,
    tile: int = 200,
) -> np.ndarray:
    """Arrange rows of images in columns with titles.

    Args:
        rows: Images by title, RGB and uint8. Images of equal title are in one
            column; columns are in the order of their first occurrence.
        legend: Colors by class name, drawn below the rows.
        tile: Longest side of an image in the panel, in pixels.

    Returns:
        RGB panel, uint8.

    Raises:
        ValueError: If there is no image.
    """
    titles = list(dict.fromkeys(title for row in rows for title in row))
    if not titles:
        raise ValueError('expected at least one image for a panel, found none')
    tiles = [{title: _scaled(row[title], tile) for title in row} for row in rows]
    heights = [max((img.height for img in row.values()), default=0) for row in tiles]
    width = len(titles) * (tile + MARGIN) + MARGIN
    lines = _legend_lines(legend or {}, width)
    top = TEXT + 2 * MARGIN
    height = top + sum(heights) + MARGIN * len(rows)
    page = Image.new('RGB', (width, height + len(lines) * (TEXT + MARGIN)), 'white')
    draw = ImageDraw.Draw(page)
    lefts = {title: MARGIN + i * (tile + MARGIN) for i, title in enumerate(titles)}
    for title, left in lefts.items():
        center = (left + tile // 2, top // 2)
        draw.text(center, title, fill='black', font=_font(), anchor='mm')
    for row, row_height in zip(tiles, heights):
        for title, img in row.items():
            shift = (tile - img.width) // 2, (row_height - img.height) // 2
            page.paste(img, (lefts[title] + shift[0], top + shift[1]))
        top += row_height + MARGIN
    for line in lines:
        for left, name, color in line:
            box = (left, top, left + TEXT, top + TEXT)
            draw.rectangle(box, fill=color, outline='black')
            at = (left + TEXT + MARGIN, top + TEXT // 2)
            draw.text(at, name, fill='black', font=_font(), anchor='lm')
        top += TEXT + MARGIN
    return np.array(page)


def _legend_lines(
    legend: Mapping[str, Sequence[int]], width: int
) -> list[list[tuple[int, str, tuple[int, ...]]]]:
    """Place legend entries in lines of (left edge, name, color)."""
    lines: list[list[tuple[int, str, tuple[int, ...]]]] = []
    left = width
    for name, color in legend.items():
        size = TEXT + 3 * MARGIN + round(_font().getlength(name))
        if left + size > width:
            lines.append([])
            left = MARGIN
        lines[-1].append((left, name, tuple(color)))
        left += size
    return lines


@lru_cache
def _font() -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')
    return ImageFont.truetype(str(path), TEXT - 2)


def _scaled(img: np.ndarray, tile: int) -> Image.Image:
    factor = tile / max(img.shape[:2])
    height, width = (max(round(side * factor), 1) for side in img.shape[:2])
    return Image.fromarray(img).resize((width, height), Image.Resampling.BILINEAR)


def _fit_to(img: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    if img.shape[:2] == size:
        return img
    return np.array(Image.fromarray(img).resize((size[1], size[0])))


def _blend(img: np.ndarray, color: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    mixed = img * (1 - opacity[..., None]) + color * opacity[..., None]
    return mixed.round().astype(np.uint8)


def _array(values: Array) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values
