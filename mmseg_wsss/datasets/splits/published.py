"""Published splits into labeled and unlabeled images.

The lists are not part of the package, only their sizes and digests, which identify a
list by its content: results on splits of equal size but different images are not
comparable. This holds for the two blended families of VOC: 93 of the 662 labeled images
of ``voc-blended-cps_1_16`` have masks of VOC itself, the others of SBD; of
``voc-blended-u2pl_1_16`` all have.

Sources of the lists: https://github.com/charlesCXK/TorchSemiSeg (CPS),
https://github.com/Haochen-Wang409/U2PL, https://github.com/LiheYoung/UniMatch and
https://github.com/LiheYoung/UniMatch-V2.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedSplit:
    """A split that papers report results on.

    Args:
        family: Dataset and origin: ``voc-classic``, ``cityscapes-cps``.
        size: ``1_16``, or the number of labeled images.
        labeled: Number of labeled images.
        unlabeled: Number of unlabeled images.
        digest: :func:`digest` of the labeled images; None if it is unknown.
    """

    family: str
    size: str
    labeled: int
    unlabeled: int
    digest: str | None

    @property
    def name(self) -> str:
        """Name of the folder of its lists: ``voc-blended-cps_1_16``."""
        return f'{self.family}_{self.size}'


def digest(names: Iterable[str]) -> str:
    """Return 16 hexadecimal digits that identify a set of names, in any order."""
    text = '\n'.join(sorted(names))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Family, size, labeled, unlabeled, digest of the labeled images.
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
    """Return the published split with these labeled images, None if there is none."""
    found = digest(labeled)
    return next((s for s in PUBLISHED.values() if s.digest == found), None)
