"""Evaluate the pseudo-labels of a model against ground truth masks."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log
from torch import Tensor

from mmseg_wsss.registry import METRICS

from .confusion import (
    SparseCounts,
    confusion_matrix,
    label_scores,
    pack_counts,
    sum_counts,
    threshold_confusion,
)
from .tables import class_table

DEFAULT_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 17))


@METRICS.register_module()
class PseudoLabelMetric(BaseMetric):
    """Compute the mIoU and the further :class:`.LabelScores` of pseudo-labels.

    The scores are mIoU, coverage, precision, recall, over- and under-activation. Every
    source has its own, such as ``teacher_a/mIoU`` and ``teacher_a/coverage``, in
    percent as in mmseg's ``IoUMetric``. In ``mIoU`` an unlabeled pixel is a false
    negative, in ``mIoU_covered`` it is left out.

    The source ``cam`` is evaluated at every background threshold. Its scores are those
    of the threshold with the best mIoU (the lowest one if several are equal), which is
    reported as ``cam/best_bg_thr``.

    Required fields of the data samples: ``gt_sem_seg``; ``cam`` (K, H, W) for the
    source ``cam``, and ``pseudo_<source>`` (1, H, W) for every other one.

    Args:
        sources: Names of the sources.
        thresholds: Ascending background thresholds of the source ``cam``, in the range
            of the CAMs, [0, 1].
        background: Whether class 0 is the background; by default, whether its name is
            ``'background'``. Without a background class, the CAMs have one map per
            class, and pixels up to the threshold are unlabeled.
        ignore_index: Label of unlabeled pixels in ground truth and pseudo-labels.
        collect_device: As in MMEngine.
        prefix: As in MMEngine; empty by default.
        collect_dir: As in MMEngine.

    Raises:
        ValueError: If there is no source, or the thresholds do not ascend; in
            :meth:`process`, if a data sample lacks a field, shapes differ, or a label
            lies outside its range.
    """

    def __init__(
        self,
        sources: Sequence[str] = ('cam',),
        thresholds: Sequence[float] = DEFAULT_THRESHOLDS,
        background: bool | None = None,
        ignore_index: int = 255,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix, collect_dir)
        if isinstance(sources, str) or not sources:
            raise ValueError(f'expected a list of sources, found {sources!r}')
        self.sources = tuple(sources)
        self.cuts = [float(cut) for cut in thresholds]
        if not self.cuts or self.cuts != sorted(set(self.cuts)):
            raise ValueError(f'expected ascending thresholds, found {self.cuts}')
        self._background = background
        self.ignore_index = ignore_index

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of a batch, one sparse matrix per image and source.

        Args:
            data_batch: Not used.
            data_samples: Data samples with predictions, as dictionaries.
        """
        for sample in data_samples:
            try:
                counts = {
                    source: self._count(sample, source) for source in self.sources
                }
            except ValueError as error:
                name = sample.get('img_path', 'an image')
                raise ValueError(f'pseudo-labels of {name}: {error}') from error
            self.results.append(counts)

    def _count(self, sample: dict, source: str) -> SparseCounts:
        num_classes = len(self._classes)
        gt = _field(sample, 'gt_sem_seg').squeeze(0)
        if source == 'cam':
            counts = threshold_confusion(
                _field(sample, 'cam'),
                gt,
                torch.tensor(self.cuts),
                num_classes,
                self._has_background,
                self.ignore_index,
            )
        else:
            labels = _field(sample, f'pseudo_{source}').squeeze(0)
            counts = confusion_matrix(labels, gt, num_classes, self.ignore_index)
        return pack_counts(counts)

    def compute_metrics(
        self, results: list[dict[str, SparseCounts]]
    ) -> dict[str, float]:
        """Compute the scores over all images, and log a table of classes per source.

        Args:
            results: One entry per image, from all ranks.

        Returns:
            Scores by ``<source>/<name>``; NaN if undefined, as without images.
        """
        num_classes = len(self._classes)
        metrics: dict[str, float] = {}
        for source in self.sources:
            shape: tuple[int, ...] = (num_classes, num_classes + 1)
            if source == 'cam':
                shape = (len(self.cuts), *shape)
            total = sum_counts((entry[source] for entry in results), shape)
            if source == 'cam':
                metrics['cam/best_bg_thr'], total = self._best(total)
            scores = label_scores(total, self._has_background)
            for name, value in scores.summary().items():
                metrics[f'{source}/{name}'] = value
            _log(f'pseudo-labels of {source}, {len(results)} images:')
            _log('\n' + class_table(scores, self._classes))
        return metrics

    def _best(self, matrices: Tensor) -> tuple[float, Tensor]:
        """Return the threshold with the best mIoU and its matrix; log all mIoUs."""
        means = [label_scores(matrix).mean_iou for matrix in matrices]
        text = ', '.join(
            f'{cut:.2f}: {100 * mean:.2f}' for cut, mean in zip(self.cuts, means)
        )
        _log(f'mIoU of cam by background threshold: {text}')
        index = max(range(len(means)), key=means.__getitem__)
        best = float('nan') if means[index] != means[index] else self.cuts[index]
        return best, matrices[index]

    @property
    def _classes(self) -> Sequence[str]:
        classes = (self.dataset_meta or {}).get('classes')
        if classes is None:
            raise ValueError(
                'PseudoLabelMetric needs classes in dataset_meta, found none'
            )
        return classes

    @property
    def _has_background(self) -> bool:
        if self._background is None:
            return self._classes[0] == 'background'
        return self._background


def _field(sample: dict, name: str) -> Tensor:
    if name not in sample:
        found = sorted(key for key, value in sample.items() if isinstance(value, dict))
        raise ValueError(
            f'expected the field {name} in the data sample, found {found}; it needs '
            'its source in test_cfg.pseudo_sources, and tags: a WeakDataset'
        )
    return sample[name]['data']


def _log(text: str) -> None:
    print_log(text, logger=MMLogger.get_current_instance())
