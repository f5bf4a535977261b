"""Looks for everything in a data set that would break or falsify a training."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import ImageFile

from mmseg_wsss.utils.files import inside
from mmseg_wsss.utils.parallel import parallel_map

from ..label_maps import PICTURE_ERRORS, LabelRule, open_whole, read_label_map
from ..tags.image_tags import ImageTags

StrPath = str | os.PathLike[str]

EXIF_ORIENTATION = 0x0112
EXIF_TURNED = (5, 6, 7, 8)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the file or picture, and the details."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class Picture:
    """A picture of a split: its name in tag files, and its files."""

    name: str
    path: str
    mask: str | None = None


@dataclass
class Split:
    """Pictures that belong together, and the rules for them.

    Args:
        name: ``'train'``, ``'val'``, ...; pictures of two names must not overlap.
        pictures: The pictures.
        folder: Folder that pictures must not leave; None does not check.
        mask_folder: The same for masks.
        rule: Which labels masks may hold; None does not check them.
        tags: Image tags that must cover the pictures; None does not check.
        img_suffix: End of the names of pictures, for tags that have no picture.
        masks_optional: Whether masks may be missing, as in weakly labelled sets.
    """

    name: str
    pictures: Sequence[Picture]
    folder: StrPath | None = None
    mask_folder: StrPath | None = None
    rule: LabelRule | None = None
    tags: ImageTags | None = None
    img_suffix: str = '.jpg'
    masks_optional: bool = False


@dataclass
class Report:
    """What :func:`check_splits` found, and how much it looked at."""

    findings: list[Finding] = field(default_factory=list)
    pictures: dict[str, int] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)


def check_splits(
    splits: Sequence[Split], workers: int = 0, progress: bool = False
) -> Report:
    """Check the files, the tags and the disjointness of splits.

    Args:
        splits: The splits; several may bear one name (parts of a concatenated set).
        workers: Processes that read pictures; 0 reads in this one.
        progress: Whether to show a bar.

    Returns:
        The findings, split by split, and the number of readable files.
    """
    report = Report()
    digests: dict[str, dict[str, str]] = {}
    for split in splits:
        if not split.pictures:
            what = f'no picture (*{split.img_suffix}) in {split.name}'
            report.findings.append(Finding('empty split', str(split.folder), what))
        report.findings += _repeated(split)
        look = partial(_look_at, split=_without_pictures(split))
        pictures = list({picture.path: picture for picture in split.pictures}.values())
        seen = parallel_map(look, pictures, workers, f'checking {split.name}', progress)
        for (digest, has_mask, findings), picture in zip(seen, pictures):
            report.findings += findings
            _count(report.pictures, split.name, digest is not None)
            _count(report.masks, split.name, has_mask)
            if digest is not None:
                digests.setdefault(split.name, {})[digest] = picture.path
        report.findings += check_tags(split)
    for first, second in combinations(digests, 2):
        report.findings += _overlap(first, second, digests[first], digests[second])
    return report


def _count(counts: dict[str, int], name: str, more: bool) -> None:
    counts[name] = counts.get(name, 0) + int(more)


def _without_pictures(split: Split) -> Split:
    """What the workers need of a split: they are sent it with every chunk."""
    return Split(
        split.name,
        (),
        split.folder,
        split.mask_folder,
        split.rule,
        masks_optional=split.masks_optional,
    )


def _repeated(split: Split) -> Iterable[Finding]:
    seen = set()
    for picture in split.pictures:
        if picture.path in seen:
            what = f'listed more than once in {split.name}'
            yield Finding('repeated picture', picture.path, what)
        seen.add(picture.path)


def _overlap(
    first: str, second: str, files: dict[str, str], others: dict[str, str]
) -> Iterable[Finding]:
    for digest in sorted(files.keys() & others.keys(), key=files.__getitem__):
        same = os.path.realpath(files[digest]) == os.path.realpath(others[digest])
        what = f'in {first} and {second}'
        if not same:
            what += f' with the same content as {others[digest]}'
        yield Finding('overlap of splits', files[digest], what)


def _look_at(picture: Picture, split: Split) -> tuple[str | None, bool, list[Finding]]:
    """Check the files of one picture.

    Returns:
        Digest of the picture file, None if unusable; whether the mask was readable;
        and the findings.
    """
    findings: list[Finding] = []
    if not _stays(picture.path, split.folder, findings):
        return None, False, findings
    digest, size = None, None
    try:
        size = picture_size(picture.path)
        digest = hashlib.sha256(Path(picture.path).read_bytes()).hexdigest()
    except FileNotFoundError:
        what = f'listed in {split.name}'
        findings.append(Finding('missing picture', picture.path, what))
    except PICTURE_ERRORS as error:
        what = str(error).replace(f' {picture.path!r}', '')
        findings.append(Finding('unreadable picture', picture.path, what))
    has_mask = False
    if picture.mask is not None and _stays(picture.mask, split.mask_folder, findings):
        has_mask, more = _look_at_mask(picture.mask, size, split)
        findings += more
    return digest, has_mask, findings


def _look_at_mask(
    path: str, size: tuple[int, int] | None, split: Split
) -> tuple[bool, list[Finding]]:
    if not os.path.isfile(path):
        what = f'of a picture in {split.name}'
        missing = [] if split.masks_optional else [Finding('missing mask', path, what)]
        return False, missing
    try:
        labels = read_label_map(path)
    except ValueError as error:
        what = str(error).removeprefix(f'{path}: ')
        return False, [Finding('unreadable mask', path, what)]
    findings = []
    height, width = labels.shape
    if size is not None and (width, height) != size:
        what = f'mask {width}x{height}, picture {size[0]}x{size[1]}'
        if (height, width) == size:
            what += ' (turned: look at the EXIF orientation of the picture)'
        findings.append(Finding('size of the mask', path, what))
    complaint = split.rule.complaint(np.unique(labels)) if split.rule else None
    if complaint:
        findings.append(Finding('labels of the mask', path, complaint))
    return True, findings


def picture_size(path: StrPath) -> tuple[int, int]:
    """Width and height of a picture as mmcv shows it; decodes every pixel.

    Raises:
        OSError, SyntaxError, ValueError, DecompressionBombError: It is missing or
            broken; see ``PICTURE_ERRORS``.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ValueError('Pillow was told to accept truncated pictures')
    with open_whole(path) as picture:
        picture.load()
        width, height = picture.size
        turned = picture.getexif().get(EXIF_ORIENTATION) in EXIF_TURNED
    return (height, width) if turned else (width, height)


def _stays(path: str, folder: StrPath | None, findings: list[Finding]) -> bool:
    """Whether a path is below its folder; notes it if not."""
    if folder is None:
        return True
    try:
        inside(folder, os.path.abspath(path))
    except ValueError as error:
        findings.append(Finding('path leaves the data root', path, str(error)))
        return False
    return True


def check_tags(split: Split) -> list[Finding]:
    """Check that tags and pictures of a split belong together.

    A tag file may serve several splits, so an entry without picture is one whose
    file does not exist in the folder of the pictures.
    """
    if split.tags is None:
        return []
    listed = {picture.name for picture in split.pictures}
    findings = [
        Finding('picture without tags', p.path, f'no entry in {split.tags.source}')
        for p in split.pictures
        if p.name not in split.tags
    ]
    for name in split.tags.names:
        path = Path(split.folder or '.', name + split.img_suffix)
        if name not in listed and not path.is_file():
            what = f'{name!r}: neither in {split.name} nor a file {path}'
            findings.append(
                Finding('tags without picture', split.tags.place(name), what)
            )
    return findings
