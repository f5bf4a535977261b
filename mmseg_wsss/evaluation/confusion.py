"""Compute confusion matrices of label maps with unlabeled pixels, and their scores.

A matrix has the shape (C, C + 1): rows are true classes, columns are predicted classes,
and the last column counts the unlabeled pixels.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SparseCounts = tuple[np.ndarray, np.ndarray]


def confusion_matrix(
    pred: Tensor | np.ndarray,
    gt: Tensor | np.ndarray,
    num_classes: int,
    ignore_index: int = 255,
) -> Tensor:
    """Count the pixels of every (true class, predicted class) pair.

    Args:
        pred: Label map (H, W), integers in ``[0, C)``, or ``ignore_index`` for
            unlabeled pixels.
        gt: Ground truth (H, W), integers in ``[0, C)``, or ``ignore_index`` for pixels
            that are left out.
        num_classes: Number of classes C.
        ignore_index: Label of unlabeled pixels in both maps.

    Returns:
        int64 counts of shape (C, C + 1) on the CPU; ``[t, p]`` counts the pixels of
        true class ``t`` labeled ``p``, ``[t, C]`` the unlabeled ones.

    Raises:
        ValueError: If the shapes differ or a label lies outside its range.
    """
    pred, gt = _as_labels(pred), _as_labels(gt)
    if pred.shape != gt.shape:
        raise ValueError(
            f'expected a label map of the size of the ground truth {tuple(gt.shape)}, '
            f'found {tuple(pred.shape)}'
        )
    gt = gt.to(pred.device)
    check_labels(gt, num_classes, ignore_index, 'ground truth')
    check_labels(pred, num_classes, ignore_index, 'label map')
    valid = gt != ignore_index
    column = torch.where(pred == ignore_index, num_classes, pred)[valid]
    cell = gt[valid] * (num_classes + 1) + column
    counts = torch.bincount(cell, minlength=num_classes * (num_classes + 1))
    return counts.view(num_classes, num_classes + 1).cpu()


def threshold_confusion(
    cam: Tensor,
    gt: Tensor,
    thresholds: Tensor,
    num_classes: int,
    background: bool = True,
    ignore_index: int = 255,
) -> Tensor:
    """Compute the confusion matrices of a CAM at several background thresholds.

    A pixel gets the class of its highest activation if this activation exceeds the
    threshold. Otherwise it is background (class 0), or unlabeled if there is no
    background class.

    Args:
        cam: Class activation maps (K, H, W), zero for absent tags; K is C - 1 with a
            background class and C without.
        gt: Ground truth (H, W), see :func:`confusion_matrix`.
        thresholds: Ascending background thresholds (T,).
        num_classes: Number of classes C.
        background: Whether class 0 is the background.
        ignore_index: Label of pixels that are left out.

    Returns:
        int64 counts of shape (T, C, C + 1) on the CPU.

    Raises:
        ValueError: If the shapes do not match or a label lies outside its range.
    """
    first = 1 if background else 0
    expected = (num_classes - first, *gt.shape)
    if tuple(cam.shape) != expected:
        raise ValueError(
            f'expected a CAM of shape {expected}, found {tuple(cam.shape)}'
        )
    gt = _as_labels(gt).to(cam.device)
    check_labels(gt, num_classes, ignore_index, 'ground truth')
    valid = gt != ignore_index
    score, best = cam.float().max(dim=0)
    # `score > thresholds[t]` is the same as `bucket > t`.
    cuts = thresholds.to(score)
    bucket = torch.bucketize(score[valid].contiguous(), cuts)
    cell = (bucket * num_classes + gt[valid]) * (num_classes + 1)
    cell = cell + best[valid] + first
    shape = (len(cuts) + 1, num_classes, num_classes + 1)
    counts = torch.bincount(cell, minlength=int(np.prod(shape))).view(shape).cpu()
    at_most = counts.cumsum(dim=0)
    matrices = at_most[-1] - at_most[:-1]
    matrices[..., 0 if background else num_classes] += at_most[:-1].sum(dim=-1)
    return matrices


def check_labels(
    labels: Tensor, num_classes: int, ignore_index: int, name: str
) -> None:
    """Raise a ValueError that lists the labels outside ``[0, C)``, if any."""
    wrong = (labels < 0) | (labels >= num_classes)
    wrong &= labels != ignore_index
    if wrong.any():
        found = labels[wrong].unique().tolist()[:10]
        raise ValueError(
            f'expected labels in [0, {num_classes}) or {ignore_index} in the {name}, '
            f'found {found}'
        )


@dataclass(frozen=True)
class LabelScores:
    """Scores of label maps, in [0, 1]; NaN if undefined.

    Scores of each class are float64 tensors (C,). M is the confusion matrix, ``n_t`` a
    row sum (pixels of true class t, unlabeled ones included), and ``m_p`` a column sum
    (pixels labeled p):

    * ``iou[c] = M[c, c] / (n_c + m_c - M[c, c])``: an unlabeled pixel is a miss of
      its true class and belongs to no predicted class;
    * ``iou_covered``: the same on labeled pixels only;
    * ``precision[c] = M[c, c] / m_c`` and ``recall[c] = M[c, c] / n_c``;
    * ``over_activation[c] = M[0, c] / m_c``: ratio of the pixels labeled with the
      foreground class c that are background in the ground truth;
    * ``under_activation[c] = M[c, 0] / n_c``: ratio of the true pixels of the
      foreground class c that are labeled background;
    * ``coverage``: ratio of the pixels with ground truth that have a label;
    * ``over_activation_all``, ``under_activation_all``: the two ratios over all
      foreground classes together (sums of numerators over sums of denominators).

    Over- and under-activation are NaN for a dataset without a background class. Means
    over classes leave out the classes with an undefined score.
    """

    iou: Tensor
    iou_covered: Tensor
    precision: Tensor
    recall: Tensor
    over_activation: Tensor
    under_activation: Tensor
    coverage: float
    over_activation_all: float
    under_activation_all: float

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in the ground truth or label maps."""
        return float(self.iou.nanmean())

    def summary(self) -> dict[str, float]:
        """Return the scores over all classes in percent, rounded to 2 digits."""
        scores = {
            'mIoU': self.mean_iou,
            'mIoU_covered': float(self.iou_covered.nanmean()),
            'coverage': self.coverage,
            'precision': float(self.precision.nanmean()),
            'recall': float(self.recall.nanmean()),
            'over_activation': self.over_activation_all,
            'under_activation': self.under_activation_all,
        }
        return {name: round(100 * score, 2) for name, score in scores.items()}

    def per_class(self) -> dict[str, list[float]]:
        """Return the scores of every class in percent, rounded to 2 digits."""
        columns = {
            'IoU': self.iou,
            'precision': self.precision,
            'recall': self.recall,
            'over_activation': self.over_activation,
            'under_activation': self.under_activation,
        }
        return {
            name: [round(100 * score, 2) for score in column.tolist()]
            for name, column in columns.items()
        }


def label_scores(confusion: Tensor, background: bool = True) -> LabelScores:
    """Compute the scores of a confusion matrix.

    Args:
        confusion: Counts of shape (C, C + 1) from :func:`confusion_matrix`,
            summed over images.
        background: Whether class 0 is the background.

    Returns:
        The scores, see :class:`LabelScores` for the formulas.
    """
    counts = confusion.double()
    labeled, unlabeled = counts[:, :-1], counts[:, -1]
    hit, predicted = labeled.diagonal(), labeled.sum(dim=0)
    true_labeled = labeled.sum(dim=1)
    true = true_labeled + unlabeled
    over = torch.full_like(hit, float('nan'))
    under = over.clone()
    over_all = under_all = float('nan')
    if background:
        over[1:] = labeled[0, 1:] / predicted[1:]
        under[1:] = labeled[1:, 0] / true[1:]
        over_all = float(labeled[0, 1:].sum() / predicted[1:].sum())
        under_all = float(labeled[1:, 0].sum() / true[1:].sum())
    return LabelScores(
        iou=hit / (true + predicted - hit),
        iou_covered=hit / (true_labeled + predicted - hit),
        precision=hit / predicted,
        recall=hit / true,
        over_activation=over,
        under_activation=under,
        coverage=float(true_labeled.sum() / true.sum()),
        over_activation_all=over_all,
        under_activation_all=under_all,
    )


def pack_counts(counts: Tensor) -> SparseCounts:
    """Return the flat indices and the counts of the non-zero cells of a matrix."""
    flat = counts.flatten().numpy()
    index = flat.nonzero()[0]
    return index, flat[index]


def sum_counts(packed: Iterable[SparseCounts], shape: tuple[int, ...]) -> Tensor:
    """Sum packed matrices into a dense int64 matrix of the given shape."""
    total = np.zeros(int(np.prod(shape)), dtype=np.int64)
    for index, counts in packed:
        total[index] += counts
    return torch.from_numpy(total.reshape(shape))


def _as_labels(labels: Tensor | np.ndarray) -> Tensor:
    return torch.as_tensor(labels).long()
