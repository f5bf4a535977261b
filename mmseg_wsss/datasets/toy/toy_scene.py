"""Toy images: cluttered background, and objects that consist of a head and a body.

The small head has the pattern of the class, the larger body a random plain color. The
head determines the class, the body only its outline: the class activation maps of a
classifier cover heads and miss bodies.

Pixels are computed with additions, products, comparisons and square roots only, so that
they depend on the seed and NumPy's generator, not on the processor.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

MAX_OBJECTS = 3
_NUM_OBJECTS_PROB = (0.4, 0.4, 0.2)
_RADIUS = (0.15, 0.3)  # of an object, as a fraction of the image's side
_MIN_IN_FRAME = 0.65  # fraction of an object inside the image
_MIN_VISIBLE = 0.6  # uncovered fraction of the part inside the image
_MIN_CONTRAST = 70.0  # RGB distance of a body to the mean of the background there
_DARK, _BRIGHT = (0, 80), (175, 255)  # ranges of the two colors of a pattern
_MAX_ROTATION = 0.7  # of an object, in radians

Region = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ObjectClass:
    """Shape of the objects of a class, in units of their radius.

    Attributes:
        body: Whether points (u, v) lie in the body; u runs along the object's axis.
        head: Whether points (p, q) lie in the head's outline, in ``[-1, 1]``.
        pattern: Whether the head has the first of its two colors at (p, q).
        head_at: Position u of the head's center on the axis.
        head_size: Half the side of the head.
    """

    body: Region
    head: Region
    pattern: Region
    head_at: float
    head_size: float


@dataclass(frozen=True)
class Scene:
    """One image with its labels.

    Attributes:
        img: (H, W, 3) uint8, RGB.
        seg: (H, W) uint8, 0 for background and k for the k-th foreground class.
        instances: (H, W) uint8, 0 for background and i for the i-th object.
        part: (H, W) bool, True on heads.
        labels: Class of each object, from 1.
    """

    img: np.ndarray
    seg: np.ndarray
    instances: np.ndarray
    part: np.ndarray
    labels: tuple[int, ...]


def _disc(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return p * p + q * q <= 1


def _square(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.maximum(abs(p), abs(q)) <= 0.9


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    radius = np.sqrt(u * u + v * v)
    cos = u / np.maximum(radius, 1e-9)
    cos5 = ((16 * cos * cos - 20) * cos * cos + 5) * cos  # cos(5 * angle)
    return radius <= 0.78 + 0.22 * cos5


def _bone(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    lobes = (abs(u) - 0.6) * (abs(u) - 0.6) + v * v <= 0.45 * 0.45
    return lobes | ((abs(u) <= 0.6) & (abs(v) <= 0.3))


def _bands(x: np.ndarray, per_unit: float) -> np.ndarray:
    """Return alternating bands across x, ``per_unit`` bands per unit."""
    return np.floor(x * per_unit) % 2 == 0


# In the order of ToyVOCDataset.METAINFO['classes'] without background.
OBJECT_CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass(  # beetle
        body=lambda u, v: _disc(u, v / 0.72),
        head=_disc,
        pattern=lambda p, q: _bands(p, 2.5),
        head_at=0.48,
        head_size=0.45,
    ),
    ObjectClass(  # bottle
        body=lambda u, v: (abs(u) <= 0.95) & (abs(v) <= 0.56),
        head=_square,
        pattern=lambda p, q: _bands(p + 2, 2.2) ^ _bands(q + 2, 2.2),
        head_at=0.48,
        head_size=0.45,
    ),
    ObjectClass(  # kite
        body=lambda u, v: abs(u) + abs(v) / 0.9 <= 1.1,
        head=_disc,
        pattern=lambda p, q: _bands(np.sqrt(p * p + q * q), 3.2),
        head_at=0.36,
        head_size=0.45,
    ),
    ObjectClass(  # bell
        body=lambda u, v: (abs(u) <= 0.85) & (abs(v) <= 0.62 - 0.36 * u),
        head=lambda p, q: abs(p) + abs(q) <= 1.25,
        pattern=lambda p, q: _disc((p * 1.6) % 1 * 3 - 1.5, (q * 1.6) % 1 * 3 - 1.5),
        head_at=0.44,
        head_size=0.45,
    ),
    ObjectClass(  # bone
        body=_bone,
        head=_disc,
        pattern=lambda p, q: (p > 0) ^ (q > 0) ^ (abs(p) > abs(q)),
        head_at=0.52,
        head_size=0.45,
    ),
    ObjectClass(  # star
        body=_star,
        head=_square,
        pattern=lambda p, q: np.minimum(abs(p), abs(q)) <= 0.25,
        head_at=0.1,
        head_size=0.45,
    ),
)


@lru_cache
def _unit_areas(label: int) -> tuple[float, float]:
    """Return the areas of a whole object and of its head, for radius 1."""
    side = np.arange(-2, 2, 0.02)
    whole, head, _ = _outline(label, side[:, None], side[None, :])
    return float(whole.sum() * 4e-4), float(head.sum() * 4e-4)


def _outline(
    label: int, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the masks of the object, of its head and of the head's first color."""
    shape = OBJECT_CLASSES[label - 1]
    p, q = (u - shape.head_at) / shape.head_size, v / shape.head_size
    head = shape.head(p, q)
    return shape.body(u, v) | head, head, head & shape.pattern(p, q)


def _smooth_noise(rng: Generator, size: int, cell: int, channels: int) -> np.ndarray:
    """Return bilinear value noise in [-1, 1] of shape (size, size, channels)."""
    grid = rng.uniform(-1, 1, (size // cell + 2, size // cell + 2, channels))
    at = np.arange(size) / cell
    low = at.astype(int)
    frac = (at - low)[:, None, None]
    rows = grid[low] * (1 - frac) + grid[low + 1] * frac
    frac = frac.reshape(1, size, 1)
    return rows[:, low] * (1 - frac) + rows[:, low + 1] * frac


def _background(rng: Generator, size: int) -> np.ndarray:
    """Return a gradient between two colors with noise of several scales."""
    rows, cols = np.mgrid[:size, :size] / size
    weight = rng.uniform(-1, 1, 2)
    ramp = np.clip(0.5 + weight[0] * (rows - 0.5) + weight[1] * (cols - 0.5), 0, 1)
    colors = rng.uniform(30, 225, (2, 3))
    img = colors[0] + ramp[..., None] * (colors[1] - colors[0])
    strength = rng.uniform(0.4, 0.8)
    for cells, amplitude in ((4, 40), (8, 30), (16, 25), (32, 25), (64, 20)):
        cell = max(1, size // cells)
        noise = _smooth_noise(rng, size, cell, 1) + _smooth_noise(rng, size, cell, 3)
        img += strength * amplitude * noise
    return img


def _frame(
    rng: Generator, size: int, center: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates (u, v) of every pixel in a randomly rotated frame."""
    angle = rng.uniform(-_MAX_ROTATION, _MAX_ROTATION) + rng.integers(2) * math.pi
    cos, sin = math.cos(angle) / radius, math.sin(angle) / radius
    rows = np.arange(size)[:, None] + 0.5 - center[0]
    cols = np.arange(size)[None, :] + 0.5 - center[1]
    return cols * cos + rows * sin, rows * cos - cols * sin


def _clutter(rng: Generator, img: np.ndarray, colors: list[np.ndarray]) -> None:
    """Paint strokes, plain and textured patches; half in the colors of the bodies."""
    size = len(img)
    for _ in range(rng.integers(10, 18)):
        color = rng.uniform(10, 245, 3)
        if rng.random() < 0.5:
            color = colors[rng.integers(len(colors))] + rng.uniform(-15, 15, 3)
        u, v = _frame(rng, size, rng.uniform(0, size, 2), size)
        kind = rng.integers(3)
        if kind == 0:  # stroke
            where = (abs(u) <= rng.uniform(0.1, 0.4)) & (
                abs(v) <= rng.uniform(0.008, 0.025)
            )
        else:  # patch
            half = rng.uniform(0.03, 0.09, 2)
            where = (_disc, _square)[rng.integers(2)](u / half[0], v / half[1])
        paint = np.broadcast_to(color, img.shape)
        if kind == 2:  # texture as fine as the patterns of the heads
            texture = _smooth_noise(rng, size, max(2, size // 32), 1) > 0
            paint = np.where(texture, color, rng.uniform(10, 245, 3))
        img[where] = paint[where]


def _far_color(rng: Generator, others: list[np.ndarray], distance: float) -> np.ndarray:
    """Return an RGB color at least ``distance`` from others, or the best of 50."""
    drawn = rng.uniform(10, 245, (50, 3))
    gaps = np.min([((drawn - other) ** 2).sum(1) for other in others], axis=0)
    far = np.flatnonzero(gaps >= distance * distance)
    return drawn[far[0] if len(far) else gaps.argmax()]


def _place(
    rng: Generator, size: int, label: int, placed: list[tuple]
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Place an object at random; return its masks, None if there is no room."""
    for _ in range(40):
        radius = size * rng.uniform(*_RADIUS)
        u, v = _frame(rng, size, rng.uniform(0.1, 0.9, 2) * size, radius)
        whole, head, first = _outline(label, u, v)
        whole_area, head_area = (area * radius * radius for area in _unit_areas(label))
        if whole.sum() < _MIN_IN_FRAME * whole_area:
            continue
        if head.sum() < 0.8 * head_area:
            continue
        cover = whole.copy()
        for behind in reversed(placed):
            if (behind[0] & ~cover).sum() < _MIN_VISIBLE * behind[0].sum():
                break
            if (behind[1] & ~cover).sum() < 0.8 * behind[1].sum():
                break
            cover |= behind[0]
        else:
            return whole, head, first
    return None


def draw_scene(rng: Generator, size: int, first_label: int) -> Scene:
    """Draw one image.

    Args:
        rng: Random generator.
        size: Side of the square image in pixels.
        first_label: Class of the first object, in ``[1, len(OBJECT_CLASSES)]``; the
            classes of the others are random.

    Returns:
        The image with 1 to 3 objects; each is mostly visible, and so is its head.
    """
    labels = [first_label]
    for _ in range(rng.choice(MAX_OBJECTS, p=_NUM_OBJECTS_PROB)):
        labels.append(int(rng.integers(len(OBJECT_CLASSES))) + 1)
    placed: list[tuple] = []
    kept: list[int] = []
    for label in labels:
        masks = _place(rng, size, label, placed)
        if masks is not None:
            placed.append(masks)
            kept.append(label)
    if first_label not in kept:
        return draw_scene(rng, size, first_label)

    img = _background(rng, size)
    colors: list[np.ndarray] = []
    for whole, _, _ in placed:
        colors.append(_far_color(rng, [img[whole].mean(0), *colors], _MIN_CONTRAST))
    _clutter(rng, img, colors)
    seg = np.zeros((size, size), np.uint8)
    instances = np.zeros_like(seg)
    part = np.zeros((size, size), bool)
    shade = _smooth_noise(rng, size, size // 3, 1) * 8
    for index, (label, color, masks) in enumerate(zip(kept, colors, placed), 1):
        whole, head, first = masks
        img[whole] = (color + shade)[whole]
        img[head] = rng.uniform(*_DARK, 3)
        img[first] = rng.uniform(*_BRIGHT, 3)
        seg[whole], instances[whole], part[whole] = label, index, False
        part[head] = True
    return Scene(_expose(rng, img), seg, instances, part, tuple(kept))


def _expose(rng: Generator, img: np.ndarray) -> np.ndarray:
    """Blur slightly, add noise, and round to uint8."""
    for axis in (0, 1):
        ahead = np.concatenate([img.take([0], axis), img], axis)
        after = np.concatenate([img, img.take([-1], axis)], axis)
        size = img.shape[axis]
        ahead = ahead.take(range(size), axis)
        after = after.take(range(1, size + 1), axis)
        img = 0.7 * img + 0.15 * (ahead + after)
    img = img + rng.normal(0, 3, img.shape)
    return np.clip(np.rint(img), 0, 255).astype(np.uint8)
