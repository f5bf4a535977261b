"""A split of a dataset into labeled and unlabeled images."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmseg_wsss.utils.files import StrPath, atomic_write

from .published import PUBLISHED, digest
from .split_lists import read_list, write_list


@dataclass(frozen=True)
class SemiSplit:
    """Names of the labeled and the unlabeled images of a dataset.

    Args:
        family: Origin of the split; results of two families are not comparable.
        size: ``1_16``, or the number of labeled images.
        labeled: Names of the labeled images.
        unlabeled: Names of the unlabeled images.

    Raises:
        ValueError: If an image is listed twice, no image is labeled, or the split has
            the name of a published one but other images.
    """

    family: str
    size: str
    labeled: Sequence[str]
    unlabeled: Sequence[str]

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[a-z0-9-]+', self.family):
            raise ValueError(
                f'family must consist of a-z, 0-9 and "-", got {self.family!r}'
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
        published = PUBLISHED.get(self.name)
        if published is None:
            sizes = [s.size for s in PUBLISHED.values() if s.family == self.family]
            raise ValueError(
                f'the published family {self.family} has no split {self.size}, only '
                f'{", ".join(sizes)}'
            )
        found = len(self.labeled), len(self.unlabeled)
        if found != (published.labeled, published.unlabeled):
            raise ValueError(
                f'{self.name} has {published.labeled} labeled and '
                f'{published.unlabeled} unlabeled images, got {found[0]} and {found[1]}'
            )
        if published.digest not in (None, digest(self.labeled)):
            raise ValueError(
                f'{self.name} has other labeled images than these; name another family'
            )

    @property
    def name(self) -> str:
        """Name of the folder of its lists: family and size."""
        return f'{self.family}_{self.size}'

    def save(self, out: StrPath) -> Path:
        """Write ``labeled.txt``, ``unlabeled.txt`` and ``split.json``.

        Args:
            out: Folder; the split goes to ``out/NAME``.

        Returns:
            The folder of the split.

        Raises:
            FileExistsError: If the folder contains lists of other images.
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
                    f'{path} lists other images; remove the folder or choose another'
                )
        for name, images in lists.items():
            write_list(folder / name, images)
        with atomic_write(folder / 'split.json', 'w') as file:
            json.dump(about, file, indent=2)
        return folder
