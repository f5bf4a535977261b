"""Image tags from label maps."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmseg_wsss.utils.files import StrPath
from mmseg_wsss.utils.parallel import parallel_map

from ..folders import files_below
from ..image_name import tag_key
from ..label_maps import LabelRule, read_label_map
from .image_tags import ImageTags
from .records import TagRecord, TagRecords
from .validation import check_classes


def tags_from_masks(
    masks: StrPath | Mapping[str, StrPath],
    classes: Sequence[str],
    rule: LabelRule | None = None,
    min_pixels: int = 1,
    suffix: str = '.png',
    workers: int = 0,
    progress: bool = False,
    images: Iterable[str] | None = None,
    allow_empty: bool = False,
) -> ImageTags:
    """Derive tags from label maps (palette or gray PNG).

    Args:
        masks: Folder of label maps, or the label map of every image.
        classes: Names of the K foreground classes.
        rule: Values of the label maps; by default 0 is the background, 1 to K are the
            classes and 255 is ignored.
        min_pixels: Smallest number of pixels for a class to count as present.
        suffix: Suffix of the label maps, removed for the name of the image.
        workers: Number of processes that read; 0 reads in the calling process.
        progress: Whether to show a progress bar.
        images: Read the label maps of these images only.
        allow_empty: Whether images may have no tags.

    Raises:
        TagError: If label maps are unreadable, contain labels outside the range, or
            are missing; lists all problems.
        FileNotFoundError: If the folder does not exist.
    """
    names = check_classes(classes)
    rule = rule or LabelRule(len(names))
    if isinstance(masks, Mapping):
        source, files = 'masks', {name: Path(path) for name, path in masks.items()}
    else:
        source, files = str(masks), files_below(masks, suffix)
    if images is not None:
        images = list(images)
        by_key = {tag_key(name): path for name, path in files.items()}
        files = {n: by_key[tag_key(n)] for n in images if tag_key(n) in by_key}
    read = partial(_read_tags, rule=rule, min_pixels=min_pixels)
    results = parallel_map(read, files.values(), workers, 'reading masks', progress)
    found = TagRecords(has_ids=True)
    for result, (image, path) in zip(results, files.items()):
        if isinstance(result, str):
            found.problems.append(result)
        else:
            tags = tuple(names[index] for index in result)
            found.records.append(TagRecord(image, tags, str(path)))
    return ImageTags.from_records(found, names, source, images, allow_empty)


def _read_tags(path: Path, rule: LabelRule, min_pixels: int) -> list[int] | str:
    """Return the tags of a label map, or a message about the problem."""
    try:
        values, counts = np.unique(read_label_map(path), return_counts=True)
    except ValueError as error:
        return str(error)
    problem = rule.problem(values)
    return f'{path}: {problem}' if problem else rule.tags(values[counts >= min_pixels])
