"""Splits of plain image folders, for the data check."""

import os
from collections.abc import Sequence

from mmseg_wsss.utils.files import read_utf8

from ..folders import walk_files
from ..image_name import IMAGE_SUFFIXES
from ..label_maps import LabelRule
from ..tags.image_tags import ImageTags
from .split import Split, SplitImage, StrPath


def split_from_folder(
    name: str,
    images: StrPath,
    masks: StrPath | None = None,
    split_file: StrPath | None = None,
    img_suffix: str | None = None,
    mask_suffix: str = '.png',
    rule: LabelRule | None = None,
    tags: ImageTags | None = None,
    classes: Sequence[str] = (),
) -> Split:
    """Build the split of a folder of images.

    Args:
        name: Name of the split.
        images: Folder of images.
        masks: Folder of label maps with the same names; None if there are none.
        split_file: Text file with one name per line; None takes every image.
        img_suffix: Suffix of the images; by default those of all image files.
        mask_suffix: Suffix of the label maps.
        rule: Valid labels of the masks.
        tags: Image tags that must cover the images.
        classes: Names of the foreground classes, to find those in no mask.

    Raises:
        FileNotFoundError: If the folder or the list does not exist.
    """
    suffixes = IMAGE_SUFFIXES if img_suffix is None else (img_suffix,)
    paths: dict[str, list[str]] = {}
    for path in walk_files(images):
        end = next((s for s in suffixes if path.name.lower().endswith(s.lower())), None)
        if end is not None:
            entry = path.relative_to(images).as_posix()[: -len(end)]
            paths.setdefault(entry, []).append(str(path))
    names = list(paths)
    if split_file is not None:
        # Lines that are no names of images are kept: the check reports them.
        lines = read_utf8(split_file).splitlines()
        names = [line.strip() for line in lines if line.strip()]
    suffix = img_suffix or '.jpg'
    entries = []
    for entry in names:
        stem = None if masks is None else os.path.join(masks, entry)
        mask = None if stem is None else _mask_of(stem, mask_suffix)
        for file in paths.get(entry, [os.path.join(images, entry + suffix)]):
            entries.append(SplitImage(entry, file, mask))
    labels = {}
    if rule is not None:
        labels = {rule.offset + index: text for index, text in enumerate(classes)}
    return Split(name, entries, images, masks, rule, tags, labels, suffix)


def _mask_of(stem: str, suffix: str) -> str:
    """Return the path of a mask; its suffix may be in upper case."""
    found = (stem + s for s in (suffix, suffix.upper()) if os.path.isfile(stem + s))
    return next(found, stem + suffix)
