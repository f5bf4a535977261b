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

from ..label_maps import IMAGE_ERRORS, LabelRule, open_whole, read_label_map
from ..tags.image_tags import ImageTags

StrPath = str | os.PathLike[str]

EXIF_ORIENTATION = 0x0112
EXIF_TURNED = (5, 6, 7, 8)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, the file or image, and the details."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class SplitImage:
    """An image of a split: its name in tag files, and its files."""

    name: str
    path: str
    mask: str | None = None


@dataclass
class Split:
    """Images that belong together, and the rules for them.

    Args:
        name: ``'train'``, ``'val'``, ...; images of two names must not overlap.
        images: The images.
        folder: Folder that images must not leave; None does not check.
        mask_folder: The same for masks.
        rule: Which labels masks may hold; None does not check them.
        tags: Image tags that must cover the images; None does not check.
        img_suffix: End of the names of images, for tags that have no image.
        masks_optional: Whether masks may be missing, as in weakly labeled sets.
    """

    name: str
    images: Sequence[SplitImage]
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
    images: dict[str, int] = field(default_factory=dict)
    masks: dict[str, int] = field(default_factory=dict)


def check_splits(
    splits: Sequence[Split], workers: int = 0, progress: bool = False
) -> Report:
    """Check the files, the tags and the disjointness of splits.

    Args:
        splits: The splits; several may bear one name (parts of a concatenated set).
        workers: Processes that read images; 0 reads in this one.
        progress: Whether to show a bar.

    Returns:
        The findings, split by split, and the number of readable files.
    """
    report = Report()
    digests: dict[str, dict[str, str]] = {}
    for split in splits:
        if not split.images:
            what = f'no image (*{split.img_suffix}) in {split.name}'
            report.findings.append(Finding('empty split', str(split.folder), what))
        report.findings += _repeated(split)
        look = partial(_look_at, split=_without_images(split))
        images = list({image.path: image for image in split.images}.values())
        seen = parallel_map(look, images, workers, f'checking {split.name}', progress)
        for (digest, has_mask, findings), image in zip(seen, images):
            report.findings += findings
            _count(report.images, split.name, digest is not None)
            _count(report.masks, split.name, has_mask)
            if digest is not None:
                digests.setdefault(split.name, {})[digest] = image.path
        report.findings += check_tags(split)
    for first, second in combinations(digests, 2):
        report.findings += _overlap(first, second, digests[first], digests[second])
    return report


def _count(counts: dict[str, int], name: str, more: bool) -> None:
    counts[name] = counts.get(name, 0) + int(more)


def _without_images(split: Split) -> Split:
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
    for image in split.images:
        if image.path in seen:
            what = f'listed more than once in {split.name}'
            yield Finding('repeated image', image.path, what)
        seen.add(image.path)


def _overlap(
    first: str, second: str, files: dict[str, str], others: dict[str, str]
) -> Iterable[Finding]:
    for digest in sorted(files.keys() & others.keys(), key=files.__getitem__):
        same = os.path.realpath(files[digest]) == os.path.realpath(others[digest])
        what = f'in {first} and {second}'
        if not same:
            what += f' with the same content as {others[digest]}'
        yield Finding('overlap of splits', files[digest], what)


def _look_at(image: SplitImage, split: Split) -> tuple[str | None, bool, list[Finding]]:
    """Check the files of one image.

    Returns:
        Digest of the image file, None if unusable; whether the mask was readable;
        and the findings.
    """
    findings: list[Finding] = []
    if not _stays(image.path, split.folder, findings):
        return None, False, findings
    digest, size = None, None
    try:
        size = image_size(image.path)
        digest = hashlib.sha256(Path(image.path).read_bytes()).hexdigest()
    except FileNotFoundError:
        what = f'listed in {split.name}'
        findings.append(Finding('missing image', image.path, what))
    except IMAGE_ERRORS as error:
        what = str(error).replace(f' {image.path!r}', '')
        findings.append(Finding('unreadable image', image.path, what))
    has_mask = False
    if image.mask is not None and _stays(image.mask, split.mask_folder, findings):
        has_mask, more = _look_at_mask(image.mask, size, split)
        findings += more
    return digest, has_mask, findings


def _look_at_mask(
    path: str, size: tuple[int, int] | None, split: Split
) -> tuple[bool, list[Finding]]:
    if not os.path.isfile(path):
        what = f'of an image in {split.name}'
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
        what = f'mask {width}x{height}, image {size[0]}x{size[1]}'
        if (height, width) == size:
            what += ' (turned: look at the EXIF orientation of the image)'
        findings.append(Finding('size of the mask', path, what))
    complaint = split.rule.complaint(np.unique(labels)) if split.rule else None
    if complaint:
        findings.append(Finding('labels of the mask', path, complaint))
    return True, findings


def image_size(path: StrPath) -> tuple[int, int]:
    """Width and height of an image as mmcv shows it; decodes every pixel.

    Raises:
        OSError, SyntaxError, ValueError, DecompressionBombError: It is missing or
            broken; see ``IMAGE_ERRORS``.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise ValueError('Pillow was told to accept truncated images')
    with open_whole(path) as image:
        image.load()
        width, height = image.size
        turned = image.getexif().get(EXIF_ORIENTATION) in EXIF_TURNED
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
    """Check that tags and images of a split belong together.

    A tag file may serve several splits, so an entry without image is one whose
    file does not exist in the folder of the images.
    """
    if split.tags is None:
        return []
    listed = {image.name for image in split.images}
    findings = [
        Finding('image without tags', p.path, f'no entry in {split.tags.source}')
        for p in split.images
        if p.name not in split.tags
    ]
    for name in split.tags.names:
        path = Path(split.folder or '.', name + split.img_suffix)
        if name not in listed and not path.is_file():
            what = f'{name!r}: neither in {split.name} nor a file {path}'
            findings.append(Finding('tags without image', split.tags.place(name), what))
    return findings
