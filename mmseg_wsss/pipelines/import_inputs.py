"""Collect the settings, files and tags of an import of masks."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmseg_wsss.datasets.folders import walk_files
from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.datasets.mask_files import find_masks
from mmseg_wsss.datasets.region_files import REGION_SUFFIXES
from mmseg_wsss.datasets.tags import ImageTags
from mmseg_wsss.utils.files import StrPath, inside

from .predict import find_images

RECORD_FORMAT = 3  # of records/; images with another one are imported again
NUM_CHECKED = 100  # masks after which label maps without the value 255 are accepted


@dataclass(frozen=True)
class ImportSettings:
    """Settings that determine the imported masks.

    Args:
        classes: Names of the K foreground classes.
        class_free: Whether the masks have no class and take it from pseudo-masks by
            :func:`~mmseg_wsss.models.pseudo_labels.vote_regions`.
        keep_uncovered: Whether pixels that the masks do not label get the label of the
            pseudo-mask, in place of 255.
        min_coverage: Ratio of the tags of an image that must occur in its masks, in
            [0, 1]; images below it are rejected.
        min_pixels: Number of pixels that a class needs to count as present, at least 1.
        background: Whether class 0 is the background.
        zero_is_region: Whether region number 0 is a class-free mask, see
            :func:`~mmseg_wsss.datasets.region_files.read_regions`.
        tags_from_masks: Whether images without tags take them from their masks.

    Raises:
        ValueError: If a number is out of range, ``zero_is_region`` is set for masks
            with classes, or ``tags_from_masks`` for masks without.
    """

    classes: tuple[str, ...]
    class_free: bool = False
    keep_uncovered: bool = False
    min_coverage: float = 0.5
    min_pixels: int = 1
    background: bool = True
    zero_is_region: bool = False
    tags_from_masks: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_coverage <= 1:
            raise ValueError(
                f'min_coverage must be in [0, 1], got {self.min_coverage}; it is the '
                'ratio of the tags that a mask must show'
            )
        if self.min_pixels < 1:
            raise ValueError(f'min_pixels must be at least 1, got {self.min_pixels}')
        if self.zero_is_region and not self.class_free:
            raise ValueError(
                'zero_is_region (--zero-is-mask) is an option of class-free masks: set '
                'class_free (--class-free) too, or leave it out'
            )
        if self.tags_from_masks and self.class_free:
            raise ValueError(
                'class-free masks show no tags: leave tags_from_masks '
                '(--tags-from-masks) out, or import masks with classes'
            )

    @property
    def num_classes(self) -> int:
        """Number C of classes, background included."""
        return len(self.classes) + self.background

    def plain(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        values = {**asdict(self), 'classes': list(self.classes)}
        if not self.tags_from_masks:  # as in the manifests of earlier versions
            del values['tags_from_masks']
        return values

    def can_import(self, sample: 'Sample') -> bool:
        """Return whether an image has a mask, and tags or a way to get them."""
        known = sample.tags is not None or self.tags_from_masks
        return known and sample.mask is not None


class Sample(NamedTuple):
    """Files and tags of an image; None if missing."""

    name: str
    image: Path
    tags: np.ndarray | None
    mask: Path | None
    pseudo: Path | None


def find_samples(
    masks: StrPath,
    images: StrPath,
    tags: ImageTags,
    out: StrPath,
    settings: ImportSettings,
    pseudo: StrPath | None,
    names: Sequence[str] | None,
    mask_suffix: str | None,
    image_suffix: str | None,
) -> list[Sample]:
    """Find the files of all images; see :func:`import_masks` for the arguments.

    Raises:
        FileNotFoundError: If a folder or a pseudo-mask is missing.
        ValueError: If an image of the list is missing, if the masks are not named after
            the images, or if they contain the values 0 and 255 only.
    """
    paths: dict[str, Path] = find_images(images, out)
    if names is not None:
        missing = [name for name in names if name not in paths]
        if missing:
            raise ValueError(
                f'{images}: expected an image {missing[0]!r}, which the list names, '
                f'found none ({len(missing)} of {len(names)} are missing); correct '
                'the list or the folder'
            )
        paths = {name: paths[name] for name in names}
    suffixes = REGION_SUFFIXES if settings.class_free else ('.png',)
    found = find_masks(
        masks, paths, suffixes, mask_suffix, settings.class_free, image_suffix
    )
    samples = []
    for name, path in paths.items():
        labels = None if pseudo is None else inside(pseudo, f'{name}.png')
        vector = tags.vector(name) if name in tags else None
        sample = Sample(name, path, vector, found.get(name), labels)
        if labels and settings.can_import(sample) and not labels.is_file():
            raise FileNotFoundError(
                f'{labels}: expected the pseudo-mask of the image, found no file; '
                'export those of all images (tools/export_pseudo_labels.py) or list '
                'the images that have one (--list)'
            )
        samples.append(sample)
    if not settings.class_free:
        _refuse_binary_masks([s.mask for s in samples if s.mask is not None])
    return samples


def _refuse_binary_masks(paths: Sequence[Path]) -> None:
    """Reject label maps that contain only 0 and 255, which is ignored."""
    values: set[int] = set()
    for number, path in enumerate(paths):
        if number == NUM_CHECKED and 255 not in values:
            return
        values |= set(np.unique(read_label_map(path)).tolist())
        if values - {0, 255}:
            return
    if 255 in values:
        raise ValueError(
            f'{paths[0]} and the other masks contain the values 0 and 255 only, and '
            '255 is ignored; store class 1 as 1, np.where(mask == 255, 1, mask), or '
            'import them as class-free masks (--class-free)'
        )


def digest_of(sample: Sample, settings: ImportSettings) -> str:
    """Hash everything that determines the mask of an image."""
    tags = None if sample.tags is None else sample.tags.tolist()
    plain = json.dumps([RECORD_FORMAT, settings.plain(), tags])
    digest = hashlib.sha256(plain.encode())
    if settings.can_import(sample):
        mask = sample.mask
        assert mask is not None
        files = list(walk_files(mask)) if mask.is_dir() else [mask]
        for path in [sample.image, *files, *([sample.pseudo] if sample.pseudo else [])]:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
