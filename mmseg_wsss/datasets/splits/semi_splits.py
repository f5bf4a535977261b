"""Splits into labeled and unlabeled images: drawn from a seed, or imported."""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_wsss.utils.files import atomic_write

from ..tags.image_tags import ImageTags
from .published import PUBLISHED, digest, identify, read_upstream_list
from .split_lists import read_list, write_list

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class SemiSplit:
    """Labeled and unlabeled images, and whose choice that is.

    Args:
        family: Who drew it: results of two families are not comparable.
        size: ``1_16``, or the number of labeled images.
        labeled: Names of the labeled images.
        unlabeled: Names of the others.

    Raises:
        ValueError: An image is in both lists, or in one twice; there is no labeled
            one; or the name is a published split's and the images are not.
    """

    family: str
    size: str
    labeled: Sequence[str]
    unlabeled: Sequence[str]

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[a-z0-9-]+', self.family):
            raise ValueError(
                f'a family is named with a-z, 0-9 and "-", got {self.family!r}'
            )
        if not self.labeled:
            raise ValueError(f'{self.name} has no labeled image')
        counts = Counter([*self.labeled, *self.unlabeled])
        name, count = counts.most_common(1)[0]
        if count > 1:
            raise ValueError(f'{self.name}: {name} is listed {count} times')
        self._check_published()

    def _check_published(self) -> None:
        families = {split.family for split in PUBLISHED.values()}
        if self.family not in families:
            return
        known = PUBLISHED.get(self.name)
        if known is None:
            raise ValueError(f'{self.family} is published, and has no {self.size}')
        found = len(self.labeled), len(self.unlabeled)
        if found != (known.labeled, known.unlabeled):
            raise ValueError(
                f'{self.name} has {known.labeled} labeled and {known.unlabeled} '
                f'unlabeled images, these are {found[0]} and {found[1]}'
            )
        if known.digest not in (None, digest(self.labeled)):
            raise ValueError(f'{self.name} has other labeled images than these')

    @property
    def name(self) -> str:
        """Name of its folder, which begins with the family."""
        return f'{self.family}_{self.size}'

    def save(self, out: StrPath) -> Path:
        """Write ``labeled.txt``, ``unlabeled.txt`` and ``split.json``.

        Args:
            out: Folder; the split goes to ``out/NAME``.

        Returns:
            The folder of the split.

        Raises:
            FileExistsError: The folder holds other images.
        """
        folder = Path(out) / self.name
        about: dict[str, Any] = {
            'family': self.family,
            'size': self.size,
            'labeled': len(self.labeled),
            'unlabeled': len(self.unlabeled),
            'digest': digest(self.labeled),
        }
        lists = {'labeled.txt': self.labeled, 'unlabeled.txt': self.unlabeled}
        for name, images in lists.items():
            path = folder / name
            if path.is_file() and set(read_list(path)) != set(images):
                raise FileExistsError(
                    f'{path} lists other images; remove the folder or write elsewhere'
                )
        for name, images in lists.items():
            write_list(folder / name, images)
        with atomic_write(folder / 'split.json', 'w') as file:
            json.dump(about, file, indent=2)
        return folder


def draw_split(
    names: Sequence[str],
    size: str,
    seed: int = 0,
    fold: int | None = None,
    tags: ImageTags | None = None,
) -> SemiSplit:
    """Draw the labeled images at random.

    The images of a smaller size are among those of a larger one of the same seed and
    fold. Whatever the order of ``names``, the split is the same.

    Args:
        names: All images.
        size: A share such as ``1/16``, rounded up as in published splits, or a number.
        seed: Non-negative seed.
        fold: Number of the fold; each is a draw of its own (mmdetection's folds).
        tags: Balance the classes: the next image is always drawn among those that
            show the class with the fewest labeled images so far. Rare classes then
            come about as often as common ones, and images without a tag come last.

    Returns:
        The split, of a family named after seed, balance and fold.

    Raises:
        ValueError: A size that leaves no labeled or no unlabeled image, or
            images without tags.
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
    """Number of labeled images that a size means."""
    if not re.fullmatch(r'\d+(/0*[1-9]\d*)?', size):
        raise ValueError(f"a size is a share such as '1/16' or a number, got {size!r}")
    count = math.ceil(Fraction(size) * total) if '/' in size else int(size)
    if not 0 < count < total:
        raise ValueError(
            f'{size} of {total} images leaves no labeled or no unlabeled image'
        )
    return count


def _balanced(names: Sequence[str], tags: np.ndarray) -> list[str]:
    """Reorder images, so that each beginning of the list is balanced.

    Args:
        names: N images in random order, which decides between equals.
        tags: Their tags (N, K), 0 or 1.
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


def import_split(
    labeled: StrPath,
    dataset: str,
    unlabeled: StrPath | None = None,
    everything: StrPath | None = None,
    family: str | None = None,
    size: str | None = None,
) -> SemiSplit:
    """Import published lists, and tell from their content which split they are.

    Args:
        labeled: List of the labeled images; see :func:`read_upstream_list`.
        dataset: ``'voc'``, ``'cityscapes'``, ``'coco'`` or ``'ade20k'``.
        unlabeled: List of the unlabeled ones.
        everything: List of all images, where ``unlabeled`` is not given: the
            unlabeled ones are those not in ``labeled``.
        family: Family of a split that is not recognized.
        size: Its size; by default the number of labeled images.

    Raises:
        ValueError: The lists are broken, incomplete, of no split that is known and no
            family is given, or of another one than it is given out to be.
    """
    names = read_upstream_list(labeled, dataset)
    if unlabeled is not None:
        others = read_upstream_list(unlabeled, dataset)
    elif everything is not None:
        pool = read_upstream_list(everything, dataset)
        missing = sorted(set(names) - set(pool))
        if missing:
            raise ValueError(f'{missing[0]} of {labeled} is not in {everything}')
        others = [name for name in pool if name not in set(names)]
    else:
        raise ValueError(f'{labeled}: its unlabeled images, or all, are not given')
    known = identify(names)
    # Some lists pair the labeled images of one split with fewer unlabeled ones.
    if known is not None and (family is None or len(others) == known.unlabeled):
        if family not in (None, known.family):
            raise ValueError(f'{labeled} is {known.name}, not of the family {family}')
        return SemiSplit(known.family, known.size, names, others)
    if family is None:
        raise ValueError(
            f'{labeled}: {len(names)} labeled images of no published split that is '
            'known here; name its family'
        )
    return SemiSplit(family, size or str(len(names)), names, others)
