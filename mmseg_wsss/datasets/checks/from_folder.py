"""Splits of plain image folders, for the data check."""

import os
from pathlib import Path

from ..folders import files_below
from ..label_maps import LabelRule
from ..tags.image_tags import ImageTags
from .split import Split, SplitImage, StrPath


def split_from_folder(
    name: str,
    images: StrPath,
    masks: StrPath | None = None,
    split_file: StrPath | None = None,
    img_suffix: str = '.jpg',
    mask_suffix: str = '.png',
    rule: LabelRule | None = None,
    tags: ImageTags | None = None,
) -> Split:
    """Build the split of a folder of images.

    Args:
        name: Name of the split.
        images: Folder of images.
        masks: Folder of label maps with the same names; None if there are none.
        split_file: Text file with one name per line; None takes every image.
        img_suffix: Suffix of the images.
        mask_suffix: Suffix of the label maps.
        rule: Valid labels of the masks.
        tags: Image tags that must cover the images.

    Raises:
        FileNotFoundError: If the folder or the list does not exist.
    """
    names = list(files_below(images, img_suffix))
    if split_file is not None:
        # Names that leave the folder are kept: the check reports them.
        lines = Path(split_file).read_text(encoding='utf-8').splitlines()
        names = [line.strip() for line in lines if line.strip()]
    entries = [
        SplitImage(
            entry,
            os.path.join(images, entry + img_suffix),
            None if masks is None else os.path.join(masks, entry + mask_suffix),
        )
        for entry in names
    ]
    return Split(name, entries, images, masks, rule, tags, img_suffix)
