"""Evaluate label files, such as exported pseudo-labels."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mmseg_wsss.datasets.label_maps import read_label_map
from mmseg_wsss.evaluation.confusion import (
    LabelScores,
    SparseCounts,
    confusion_matrix,
    label_scores,
    pack_counts,
    sum_counts,
)
from mmseg_wsss.utils.files import StrPath, inside
from mmseg_wsss.utils.parallel import parallel_map, single_thread


def evaluate_label_files(
    pred_dir: StrPath,
    gt_dir: StrPath,
    names: Sequence[str],
    num_classes: int,
    *,
    background: bool = True,
    ignore_index: int = 255,
    reduce_zero_label: bool = False,
    pred_suffix: str = '.png',
    gt_suffix: str = '.png',
    num_workers: int = 0,
    progress: bool = False,
) -> LabelScores:
    """Compute the scores of label files against ground truth files.

    Args:
        pred_dir: Folder of the label files.
        gt_dir: Folder of the ground truth files.
        names: Names of the images: paths below both folders, without suffix.
        num_classes: Number of classes C.
        background: Whether class 0 is the background.
        ignore_index: Label of unlabeled pixels in both kinds of files.
        reduce_zero_label: Whether classes of the ground truth start at 1, with 0 for
            unlabeled pixels, as in mmseg.
        pred_suffix: Suffix of the label files.
        gt_suffix: Suffix of the ground truth files.
        num_workers: Number of processes that read files; 0 reads in this process.
        progress: Whether to show a progress bar.

    Returns:
        The scores over all pixels of all images.

    Raises:
        ValueError: If a file is missing or is not a label map, or a name leaves the
            folders; the message gives the path.
    """
    count = partial(
        _count_files,
        num_classes=num_classes,
        ignore_index=ignore_index,
        reduce_zero_label=reduce_zero_label,
    )
    pairs = [
        (inside(pred_dir, name + pred_suffix), inside(gt_dir, name + gt_suffix))
        for name in names
    ]
    packed = parallel_map(count, pairs, num_workers, 'Evaluating', progress)
    total = sum_counts(packed, (num_classes, num_classes + 1))
    return label_scores(total, background)


def _count_files(
    pair: tuple[Path, Path],
    num_classes: int,
    ignore_index: int,
    reduce_zero_label: bool,
) -> SparseCounts:
    pred, gt = (read_label_map(path).astype(np.int64) for path in pair)
    if reduce_zero_label:
        gt = np.where((gt == 0) | (gt == ignore_index), ignore_index, gt - 1)
    try:
        with single_thread():
            return pack_counts(confusion_matrix(pred, gt, num_classes, ignore_index))
    except ValueError as error:
        raise ValueError(f'{pair[0]} against {pair[1]}: {error}') from error
