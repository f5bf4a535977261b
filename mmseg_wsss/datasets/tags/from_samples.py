"""Image tags from the label maps that a dataset delivers."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..label_maps import LabelRule
from .image_tags import ImageTags
from .records import TagRecord, TagRecords
from .validation import check_classes


def tags_from_samples(
    samples: Iterable[tuple[str, Any]],
    classes: Sequence[str],
    rule: LabelRule,
    min_pixels: int = 1,
    allow_empty: bool = False,
) -> ImageTags:
    """Derive tags from samples, for datasets that change the labels of their files.

    Args:
        samples: Name of each image, and its data sample with ``gt_sem_seg``.
        classes: Names of the K foreground classes.
        rule: Valid labels of the samples.
        min_pixels: Smallest number of pixels for a class to count as present.
        allow_empty: Whether images may have no tags.

    Raises:
        TagError: If labels lie outside the range, or images have no tags.
    """
    names = check_classes(classes)
    found = TagRecords(has_ids=True)
    for image, sample in samples:
        labels = sample.gt_sem_seg.data.numpy()
        values, counts = np.unique(labels, return_counts=True)
        problem = rule.problem(values)
        if problem:
            found.problems.append(f'mask of {image}: {problem}')
            continue
        tags = tuple(names[index] for index in rule.tags(values[counts >= min_pixels]))
        found.records.append(TagRecord(image, tags, f'mask of {image}'))
    return ImageTags.from_records(found, names, 'masks', None, allow_empty)
