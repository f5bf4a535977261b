"""Random draws of labeled images."""

import math
import re
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ..tags.image_tags import ImageTags
from .semi_split import SemiSplit


def draw_split(
    names: Sequence[str],
    size: str,
    seed: int = 0,
    fold: int | None = None,
    tags: ImageTags | None = None,
) -> SemiSplit:
    """Draw the labeled images at random.

    The split does not depend on the order of ``names``. A smaller split is a subset of
    a larger one with the same seed and fold.

    Args:
        names: All images.
        size: Ratio such as ``1/16``, rounded up as in published splits, or a number.
        seed: Non-negative seed.
        fold: Number of the fold; folds are independent draws, as in mmdetection.
        tags: Tags by which the classes are balanced: each image is drawn among those
            with the class that has the fewest labeled images so far, so that rare
            classes become about as frequent as common ones. Images without tags come
            last.

    Returns:
        The split; its family is named after seed, balancing and fold.

    Raises:
        ValueError: If no labeled or no unlabeled image is left, or images have no
            entry in ``tags``.

    Examples:
        >>> split = draw_split(['a', 'b', 'c', 'd'], '1/4', seed=1)
        >>> split.name, len(split.labeled), len(split.unlabeled)
        ('seed1_1_4', 1, 3)
    """
    pool = sorted(names)
    count = _count(size, len(pool))
    key = (seed,) if fold is None else (seed, fold + 1)  # (n, 0) is NumPy's (n,)
    order = np.random.default_rng(key).permutation(len(pool))
    shuffled = [pool[index] for index in order]
    if tags is not None:
        tags.check(pool)
        shuffled = _balanced(shuffled, np.stack([tags.vector(n) for n in shuffled]))
    family = f'seed{seed}' + ('-balanced' if tags is not None else '')
    if fold is not None:
        family += f'-fold{fold}'
    return SemiSplit(
        family,
        size.replace('/', '_'),
        sorted(shuffled[:count]),
        sorted(shuffled[count:]),
    )


def _count(size: str, total: int) -> int:
    """Return the number of labeled images of a size."""
    if not re.fullmatch(r'\d+(/0*[1-9]\d*)?', size):
        raise ValueError(f"size must be a ratio like '1/16' or a number, got {size!r}")
    count = math.ceil(Fraction(size) * total) if '/' in size else int(size)
    if not 0 < count < total:
        raise ValueError(
            f'{size} of {total} images leaves no labeled or no unlabeled image'
        )
    return count


def _balanced(names: Sequence[str], tags: np.ndarray) -> list[str]:
    """Reorder images so that the classes of every prefix of the list are balanced.

    Args:
        names: N images in random order, which breaks ties.
        tags: Tags of the images (N, K), 0 or 1.
    """
    queues = [np.flatnonzero(column).tolist()[::-1] for column in tags.T]
    seen = np.zeros(tags.shape[1], dtype=int)
    taken: dict[int, None] = {}
    while any(queues):
        rarest = min((k for k, q in enumerate(queues) if q), key=lambda k: (seen[k], k))
        image = queues[rarest].pop()
        if image not in taken:
            taken[image] = None
            seen += tags[image]
    rest = [index for index in range(len(names)) if index not in taken]
    return [names[index] for index in (*taken, *rest)]
