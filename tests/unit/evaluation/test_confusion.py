import math

import numpy as np
import pytest
import torch

from mmseg_wsss.evaluation.confusion import (
    confusion_matrix,
    label_scores,
    pack_counts,
    sum_counts,
    threshold_confusion,
)

# truth  0 0 1 1     labels  0 1 1 255   (the pixel with truth 255 is left out)
#        2 2 2 255           2 0 1 1
GT = torch.tensor([[0, 0, 1, 1], [2, 2, 2, 255]])
PRED = torch.tensor([[0, 1, 1, 255], [2, 0, 1, 1]])
COUNTS = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 0]])


def test_matrix_of_a_map_counted_by_hand() -> None:
    assert confusion_matrix(PRED, GT, 3).equal(COUNTS)
    assert confusion_matrix(PRED.byte().numpy(), GT.numpy(), 3).equal(COUNTS)


def test_scores_computed_by_hand() -> None:
    scores = label_scores(COUNTS)
    # class 0: 1 hit, 2 true, 2 labeled; class 1: 1, 2, 3; class 2: 1, 3, 1
    assert scores.iou.tolist() == pytest.approx([1 / 3, 1 / 4, 1 / 3])
    # without the unlabeled pixel class 1 has one true pixel less
    assert scores.iou_covered.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    assert scores.precision.tolist() == pytest.approx([1 / 2, 1 / 3, 1])
    assert scores.recall.tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3])
    assert math.isnan(scores.over_activation[0])
    assert scores.over_activation[1:].tolist() == pytest.approx([1 / 3, 0])
    assert scores.under_activation[1:].tolist() == pytest.approx([0, 1 / 3])
    assert scores.coverage == pytest.approx(6 / 7)
    assert scores.over_activation_all == pytest.approx(1 / 4)
    assert scores.under_activation_all == pytest.approx(1 / 5)
    assert scores.summary() == {
        'mIoU': 30.56,
        'mIoU_covered': 33.33,
        'coverage': 85.71,
        'precision': 61.11,
        'recall': 44.44,
        'over_activation': 25.0,
        'under_activation': 20.0,
    }


def test_matrix_against_loops() -> None:
    rng = np.random.default_rng(0)
    labels = np.array([0, 1, 2, 3, 255])
    pred, gt = rng.choice(labels, (2, 13, 17))
    expected = np.zeros((4, 5), dtype=int)
    for p, t in zip(pred.flat, gt.flat):
        if t != 255:
            expected[t, 4 if p == 255 else p] += 1
    assert confusion_matrix(pred, gt, 4).numpy().tolist() == expected.tolist()


@pytest.mark.parametrize('background', [True, False])
def test_thresholds_against_cutting_the_map(background: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    classes = 4 if background else 3
    cam = torch.rand(3, 11, 7, generator=generator)
    cam[:, :2] = 0
    gt = torch.randint(0, classes, (11, 7), generator=generator)
    gt[-1] = 255
    cuts = torch.tensor([0.0, 0.25, 0.5, 0.9])
    cam[0, 5, 5] = 0.5  # on a threshold: not above it
    matrices = threshold_confusion(cam, gt, cuts, classes, background)
    assert matrices.shape == (4, classes, classes + 1)
    for cut, matrix in zip(cuts, matrices):
        score, best = cam.max(dim=0)
        labels = best + 1 if background else best
        labels[score <= cut] = 0 if background else 255
        assert matrix.equal(confusion_matrix(labels, gt, classes))


def test_absent_class_is_undefined_and_left_out_of_means() -> None:
    labels = torch.tensor([[0, 1], [0, 1]])
    scores = label_scores(confusion_matrix(labels, labels, 3))
    assert math.isnan(scores.iou[2])
    assert math.isnan(scores.precision[2])
    assert scores.mean_iou == 1


def test_unlabeled_map_has_no_hit() -> None:
    gt = torch.tensor([[0, 1]])
    scores = label_scores(confusion_matrix(torch.full((1, 2), 255), gt, 2))
    assert scores.mean_iou == 0
    assert scores.coverage == 0
    assert scores.recall.tolist() == [0, 0]
    assert math.isnan(scores.summary()['precision'])
    assert math.isnan(scores.summary()['mIoU_covered'])


def test_truth_of_255_only_leaves_everything_undefined() -> None:
    gt = torch.full((3, 2), 255)
    counts = confusion_matrix(torch.zeros(3, 2), gt, 2)
    assert counts.sum() == 0
    assert all(math.isnan(value) for value in label_scores(counts).summary().values())


def test_without_background_there_is_no_activation_score() -> None:
    scores = label_scores(COUNTS, background=False)
    assert math.isnan(scores.over_activation_all)
    assert bool(scores.under_activation.isnan().all())
    assert scores.mean_iou == pytest.approx(11 / 36)


@pytest.mark.parametrize(
    ('pred', 'gt', 'message'),
    [
        (PRED, GT.T, r'size of the ground truth \(4, 2\), found \(2, 4\)'),
        (PRED + 1, GT, r'in the label map, found \[3, 256\]'),
        (PRED, GT - 1, r'in the ground truth, found \[-1, 254\]'),
    ],
)
def test_bad_input_is_named(pred: torch.Tensor, gt: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(pred, gt, 3)


def test_cam_with_another_number_of_classes_is_named() -> None:
    with pytest.raises(ValueError, match=r'shape \(2, 2, 4\), found \(3, 2, 4\)'):
        threshold_confusion(torch.rand(3, 2, 4), GT, torch.tensor([0.5]), 3)


def test_packed_matrices_add_up() -> None:
    packed = [pack_counts(COUNTS), pack_counts(torch.zeros(3, 4, dtype=torch.long))]
    assert len(packed[0][0]) == 7
    assert len(packed[1][0]) == 0
    assert sum_counts([*packed, packed[0]], (3, 4)).equal(2 * COUNTS)
    assert sum_counts([], (3, 4)).equal(0 * COUNTS)
