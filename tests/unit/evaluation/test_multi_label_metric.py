import math

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import LabelData
from mmseg.structures import SegDataSample

from mmseg_wsss.evaluation.multi_label_metric import average_precision, f1_score
from mmseg_wsss.registry import METRICS


def slow_average_precision(score: list[float], label: list[int]) -> float:
    """Area under the steps of recall, one step per distinct score."""
    total, area, recall = sum(label), 0.0, 0.0
    for cut in sorted(set(score), reverse=True):
        chosen = [tag for value, tag in zip(score, label) if value >= cut]
        new_recall = sum(chosen) / total
        area += (new_recall - recall) * sum(chosen) / len(chosen)
        recall = new_recall
    return area


def test_average_precision_by_hand() -> None:
    score = torch.tensor([[0.9], [0.8], [0.7], [0.6]])
    label = torch.tensor([[1], [0], [1], [0]])
    # hits at ranks 1 and 3: (1/1 + 2/3) / 2
    assert average_precision(score, label).item() == pytest.approx(5 / 6)


def test_average_precision_against_loops_with_equal_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.randint(0, 6, (40, 5), generator=generator) / 5
    label = torch.randint(0, 2, (40, 5), generator=generator)
    expected = [
        slow_average_precision(score[:, k].tolist(), label[:, k].tolist())
        for k in range(5)
    ]
    assert average_precision(score, label).tolist() == pytest.approx(expected)
    flipped = average_precision(score.flip(0), label.flip(0))
    assert flipped.tolist() == pytest.approx(expected)


def test_f1_by_hand() -> None:
    positive = torch.tensor([[1, 0, 0], [1, 0, 1], [0, 0, 0]]).bool()
    label = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 0, 0]])
    values = f1_score(positive, label).tolist()
    assert values[0] == pytest.approx(1 / 2)  # TP 1, FP 1, FN 1
    assert math.isnan(values[1])  # never there, never predicted
    assert values[2] == 0


def evaluate(rows: list[tuple[list[float], list[int]]], **options: float) -> dict:
    samples = []
    for score, label in rows:
        sample = SegDataSample(metainfo={'img_path': 'cat.jpg'})
        sample.pred_tags = LabelData(score=torch.tensor(score))
        sample.gt_tags = LabelData(label=torch.tensor(label).float())
        samples.append(sample)
    evaluator = Evaluator(METRICS.build({'type': 'MultiLabelMetric', **options}))
    evaluator.process(samples, None)
    return evaluator.evaluate(len(samples))


def test_metric_names_and_values() -> None:
    scores = evaluate(
        [([0.9, 0.5], [1, 0]), ([0.2, 0.6], [1, 0]), ([0.1, 0.1], [0, 0])]
    )
    # class 1 has no positive: no AP, and F1 0 for a false alarm
    assert scores == {'tags/mAP': 100.0, 'tags/F1': round(100 * (2 / 3) / 2, 2)}


def test_images_without_tags_and_no_image() -> None:
    scores = evaluate([([0.1, 0.2], [0, 0])])
    assert math.isnan(scores['tags/mAP'])
    assert math.isnan(scores['tags/F1'])
    assert math.isnan(evaluate([])['tags/mAP'])


def test_wrong_number_of_scores_is_named() -> None:
    with pytest.raises(ValueError, match=r'expected 3 scores for cat.jpg, found 2'):
        evaluate([([0.1, 0.2], [0, 0, 1])])


def test_missing_scores_are_named() -> None:
    metric = METRICS.build({'type': 'MultiLabelMetric'})
    with pytest.raises(ValueError, match=r'expected pred_tags.score for b.jpg'):
        metric.process(None, [{'img_path': 'b.jpg', 'gt_tags': {'label': 1}}])


def test_threshold_of_f1() -> None:
    rows = [([0.4], [1]), ([0.9], [1])]
    assert evaluate(rows)['tags/F1'] == pytest.approx(200 / 3, abs=0.01)
    assert evaluate(rows, score_thr=0.3)['tags/F1'] == 100
