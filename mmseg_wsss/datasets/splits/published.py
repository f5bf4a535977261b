"""Published splits into labeled and unlabeled images: which there are, and reading.

The lists themselves are not shipped. What is known of them tells from a list alone
which split it is, so that results on splits of the same size but of other images are
not mixed: the two blended families of VOC are not comparable (mkd.md, section 9.3).
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class PublishedSplit:
    """A split that papers report results on.

    Args:
        family: Who drew it, of which images.
        size: Its size as in its name: ``1_16``, or a number of images.
        labeled: Number of labeled images.
        unlabeled: Number of unlabeled images.
        digest: :func:`digest` of the labeled images; None where it is not known.
    """

    family: str
    size: str
    labeled: int
    unlabeled: int
    digest: str | None

    @property
    def name(self) -> str:
        """Name of its folder: ``voc-blended-cps_1_16``."""
        return f'{self.family}_{self.size}'


def digest(names: Iterable[str]) -> str:
    """16 hexadecimal digits that stand for a set of names, whatever their order."""
    text = '\n'.join(sorted(names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Family, size, labeled, unlabeled, digest of the labeled ones (mkd.md, section 9.3).
_ROWS: tuple[tuple[str, str, int, int, str | None], ...] = (
    ('voc-classic', '92', 92, 10490, '124b0aab2fcd1767'),
    ('voc-classic', '183', 183, 10399, '79b959bccf7753cd'),
    ('voc-classic', '366', 366, 10216, 'f0e702c687e2ba71'),
    ('voc-classic', '732', 732, 9850, '8c23014f512884b9'),
    ('voc-classic', '1464', 1464, 9118, '129f1fe991729b18'),
    ('voc-blended-cps', '1_16', 662, 9920, 'baa85754594fcd33'),
    ('voc-blended-cps', '1_8', 1323, 9259, 'c9ca45b4e688d408'),
    ('voc-blended-cps', '1_4', 2646, 7936, 'fd0e8dca3dac524c'),
    ('voc-blended-cps', '1_2', 5291, 5291, '5338f277730143e0'),
    ('voc-blended-u2pl', '1_16', 662, 9920, 'feea4692738362e4'),
    ('voc-blended-u2pl', '1_8', 1323, 9259, '23921931a21324cf'),
    ('voc-blended-u2pl', '1_4', 2646, 7936, 'd35f7cd4b4815e1d'),
    ('voc-blended-u2pl', '1_2', 5291, 5291, 'aacb97f26e9468b4'),
    ('cityscapes-cps', '1_16', 186, 2789, '7f5edfea73278e1a'),
    ('cityscapes-cps', '1_8', 372, 2603, 'dceeaaf93e304491'),
    ('cityscapes-cps', '1_4', 744, 2231, 'dd7a6fb33a01b01a'),
    ('cityscapes-cps', '1_2', 1488, 1487, 'f33f121eb382b05e'),
    ('cityscapes-unimatch', '1_30', 100, 2875, '6e265ef2bfb4d9e5'),
    ('cityscapes-u2pl', '1_16', 186, 2789, 'efb043e79b437970'),
    ('cityscapes-u2pl', '1_8', 372, 2603, 'e707971ec1208d48'),
    ('cityscapes-u2pl', '1_4', 744, 2231, 'f208c28b5da141ee'),
    ('cityscapes-u2pl', '1_2', 1488, 1487, 'e98a302bf478df13'),
    ('coco-unimatch', '1_512', 232, 118055, None),
    ('coco-unimatch', '1_256', 463, 117824, None),
    ('coco-unimatch', '1_128', 925, 117362, None),
    ('coco-unimatch', '1_64', 1849, 116438, None),
    ('coco-unimatch', '1_32', 3697, 114590, None),
    ('ade20k-unimatch', '1_64', 316, 19894, None),
    ('ade20k-unimatch', '1_32', 631, 19579, None),
    ('ade20k-unimatch', '1_16', 1263, 18947, None),
    ('ade20k-unimatch', '1_8', 2526, 17684, None),
    ('ade20k-unimatch', '1_4', 5052, 15158, None),
    ('ade20k-unimatch', '1_2', 10105, 10105, None),
)
PUBLISHED = {split.name: split for split in (PublishedSplit(*row) for row in _ROWS)}


def identify(labeled: Iterable[str]) -> PublishedSplit | None:
    """The published split with these labeled images, if its digest is known."""
    found = digest(labeled)
    return next((s for s in PUBLISHED.values() if s.digest == found), None)


# What an image is called in its file name; lists differ in all that is around it.
_IDS = {
    'voc': re.compile(r'\d{4}_\d{6}'),
    'cityscapes': re.compile(r'[a-z-]+_\d{6}_\d{6}'),
    'coco': re.compile(r'\d{12}'),
    'ade20k': re.compile(r'ADE_(?:train|val)_\d{8}'),
}
UPSTREAM = tuple(_IDS)


def read_upstream_list(path: StrPath, dataset: str) -> list[str]:
    """Read the images of a published list, whatever its lines look like.

    Lines may hold bare ids, paths of images, "image mask" separated by spaces or a
    tab, or "image None", with any folders and suffixes.

    Args:
        path: The list.
        dataset: One of ``UPSTREAM``.

    Returns:
        Names as our configs use them: ``2007_000032``,
        ``train/aachen/aachen_000000_000019``, ``000000000009``, ``ADE_train_00000001``.

    Raises:
        ValueError: A line without an image, with the mask of another one, or with one
            that is listed already; names file and line. An empty list.
    """
    names: dict[str, int] = {}
    lines = Path(path).read_text(encoding='utf-8-sig').splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            name = _image(line, dataset)
            if name in names:
                raise ValueError(f'{name} is in line {names[name]} already')
        except ValueError as error:
            raise ValueError(f'{path}:{number}: {error}') from error
        names[name] = number
    if not names:
        raise ValueError(f'{path} lists no image')
    return list(names)


def _image(line: str, dataset: str) -> str:
    """Name of the image of a line."""
    columns = [column for column in line.split() if column != 'None']
    found = [_IDS[dataset].findall(column.rpartition('/')[2]) for column in columns]
    if not found or not all(found):
        raise ValueError(f'expected an image of {dataset}, found {line!r}')
    names = {ids[0] for ids in found}
    if len(names) > 1:
        raise ValueError(f'expected one image and its mask, found {sorted(names)}')
    name = names.pop()
    if dataset != 'cityscapes':
        return name
    part = 'val' if '/val/' in columns[0] or columns[0].startswith('val/') else 'train'
    return f'{part}/{name.split("_")[0]}/{name}'
