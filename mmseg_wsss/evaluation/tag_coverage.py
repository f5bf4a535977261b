"""Compare the mask of an image with its tags, and with another mask."""

from dataclasses import dataclass

import numpy as np

from .confusion import confusion_matrix, label_scores


@dataclass(frozen=True)
class TagCoverage:
    """Agreement of the classes in a mask with the tags of its image.

    Args:
        shown: Tags in [0, K) that occur in the mask.
        missing: Tags that do not occur in the mask.
        untagged: Number of pixels of each class in [0, K) that occurs in the mask but
            is not a tag.
    """

    shown: tuple[int, ...]
    missing: tuple[int, ...]
    untagged: dict[int, int]

    @property
    def ratio(self) -> float:
        """Ratio of the tags that occur in the mask, in [0, 1]; 1 without tags."""
        count = len(self.shown) + len(self.missing)
        return len(self.shown) / count if count else 1.0


def tag_coverage(
    labels: np.ndarray, tags: np.ndarray, background: bool = True, min_pixels: int = 1
) -> TagCoverage:
    """Compare the classes of a mask with the tags of its image.

    Args:
        labels: Labels (H, W), integers in ``[0, C)``, or 255.
        tags: Tags (K,) in {0, 1}.
        background: Whether class 0 is the background: C is K + 1 with it, else K.
        min_pixels: Number of pixels that a class needs to count as present; a value
            below 1 counts as 1.

    Returns:
        The tags that occur in the mask, those that do not, and the untagged classes.

    Example:
        >>> mask = np.array([[0, 1, 1, 3]])
        >>> found = tag_coverage(mask, np.array([1, 1, 0]))
        >>> found.shown, found.missing, found.untagged, found.ratio
        ((0,), (1,), {2: 1}, 0.5)
    """
    first = int(background)
    counts = np.bincount(labels.ravel(), minlength=256)[first : first + len(tags)]
    is_shown = counts >= max(min_pixels, 1)
    return TagCoverage(
        tuple(np.flatnonzero(is_shown & (tags > 0)).tolist()),
        tuple(np.flatnonzero(~is_shown & (tags > 0)).tolist()),
        {int(k): int(counts[k]) for k in np.flatnonzero(is_shown & (tags == 0))},
    )


def disagreement(
    first: np.ndarray, second: np.ndarray, num_classes: int
) -> tuple[float, float]:
    """Compute the disagreement of two masks on the pixels that are labeled in both.

    Args:
        first: Labels (H, W), integers in ``[0, C)``, or 255.
        second: Labels (H, W) in the same range.
        num_classes: Number C of classes, background included.

    Returns:
        1 minus the mean IoU over the classes that occur in either mask, and the ratio
        of pixels with different labels. Both are in [0, 1], and 1 if no pixel is
        labeled in both masks.

    Raises:
        ValueError: If the sizes differ or a label lies outside its range.

    Example:
        >>> first, second = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
        >>> [round(value, 2) for value in disagreement(first, second, 2)]
        [0.5, 0.33]
    """
    counts = confusion_matrix(first, second, num_classes)
    labeled = int(counts[:, :-1].sum())
    if not labeled:
        return 1.0, 1.0
    mean_iou = float(label_scores(counts).iou_covered.nanmean())
    return 1 - mean_iou, 1 - float(counts.diagonal().sum()) / labeled
