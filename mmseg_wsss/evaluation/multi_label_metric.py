"""Evaluate multi-label classification: predicted tags against true tags."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmseg_wsss.registry import METRICS


def average_precision(score: Tensor, label: Tensor) -> Tensor:
    """Compute the average precision of every class over a set of images.

    ``AP = sum_n (R_n - R_{n-1}) P_n`` over the distinct scores in descending
    order, without interpolation. Images with equal scores count as one step, so that
    the value does not depend on the order of the images.

    Args:
        score: Scores of shape (N, K).
        label: True tags of shape (N, K), 0 or 1.

    Returns:
        float64 values of shape (K,) in [0, 1]; NaN for classes without a positive.
    """
    score, label = score.double(), label.double()
    values = [_one_class(score[:, k], label[:, k]) for k in range(score.shape[1])]
    return torch.stack(values) if values else score.new_zeros(0)


def _one_class(score: Tensor, label: Tensor) -> Tensor:
    order = score.argsort(descending=True)
    score, label = score[order], label[order]
    hits = label.cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1, device=hits.device)
    last_of_score = torch.ones_like(score, dtype=torch.bool)
    last_of_score[:-1] = score[1:] != score[:-1]
    hits, precision = hits[last_of_score], precision[last_of_score]
    gain = hits.diff(prepend=hits.new_zeros(1))
    return (gain * precision).sum() / label.sum()


def f1_score(positive: Tensor, label: Tensor) -> Tensor:
    """Compute the F1 score of every class, ``2 TP / (2 TP + FP + FN)``.

    Args:
        positive: Predicted tags of shape (N, K), bool.
        label: True tags of shape (N, K), 0 or 1.

    Returns:
        float64 values of shape (K,) in [0, 1]; NaN for classes that neither occur nor
        are predicted.
    """
    label = label.bool()
    hits = (positive & label).sum(dim=0).double()
    return 2 * hits / (positive.sum(dim=0) + label.sum(dim=0))


@METRICS.register_module()
class MultiLabelMetric(BaseMetric):
    """Compute the mean average precision and F1 score of predicted tags, in percent.

    Both are means over the classes with a defined score; without images they are NaN.
    The average precision is ``sum_n (R_n - R_{n-1}) P_n`` over the distinct scores, in
    descending order, and undefined for a class without a positive image. F1 is
    ``2 TP / (2 TP + FP + FN)``, and undefined for a class that neither occurs nor is
    predicted. Required fields of the data samples: ``pred_tags.score`` (K,),
    probabilities, and ``gt_tags.label`` (K,), 0 or 1.

    Args:
        score_thr: Tags with ``score > score_thr`` count as predicted for F1; 0.5
            corresponds to a logit of 0.
        collect_device: As in MMEngine.
        prefix: As in MMEngine; the names are ``tags/mAP`` and ``tags/F1`` by default.
        collect_dir: As in MMEngine.

    Raises:
        ValueError: In :meth:`process`, if a data sample lacks a field or has fields of
            different lengths.
    """

    default_prefix = 'tags'

    def __init__(
        self,
        score_thr: float = 0.5,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        self.score_thr = score_thr

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Store the scores and tags of a batch, one entry per image.

        Args:
            data_batch: Not used.
            data_samples: Data samples with predictions, as dictionaries.
        """
        for sample in data_samples:
            name = sample.get('img_path', 'an image')
            for field, value in (('pred_tags', 'score'), ('gt_tags', 'label')):
                if value not in sample.get(field, {}):
                    raise ValueError(f'expected {field}.{value} for {name}, found none')
            score = sample['pred_tags']['score'].float().cpu()
            label = sample['gt_tags']['label'].float().cpu()
            if score.shape != label.shape:
                raise ValueError(
                    f'expected {len(label)} scores for {name}, found {len(score)}'
                )
            self.results.append((score, label))

    def compute_metrics(self, results: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """Compute the metrics over all images.

        Args:
            results: Scores and tags of every image, from all ranks.

        Returns:
            ``mAP`` and ``F1`` in percent.
        """
        if not results:
            return {'mAP': float('nan'), 'F1': float('nan')}
        score, label = (torch.stack(part) for part in zip(*results))
        values = {
            'mAP': average_precision(score, label),
            'F1': f1_score(score > self.score_thr, label),
        }
        return {
            name: round(100 * float(value.nanmean()), 2)
            for name, value in values.items()
        }
