"""Store the intersection and union of every class in every image, as text.

These areas suffice to compute the mIoU of any subset of the images, as a bootstrap over
images does.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.evaluation import IoUMetric

from mmseg_wsss.evaluation import PseudoLabelMetric
from mmseg_wsss.evaluation.confusion import sum_counts


class ImageAreasHook(Hook):
    """Keep the results that the metrics of a test have for each image.

    Attributes:
        images: Names of the tested images, without folder and suffix.
        results: Results of each metric, one per image.
    """

    def __init__(self) -> None:
        self.images: list[str] = []
        self.results: list[tuple[BaseMetric, list]] = []

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence | None = None,
    ) -> None:
        """Record the images, and after the last batch the results of the metrics."""
        self.images += [Path(sample.img_path).stem for sample in outputs or ()]
        if batch_idx + 1 == len(runner.test_dataloader):  # cleared right after
            metrics = runner.test_evaluator.metrics
            self.results = [(metric, list(metric.results)) for metric in metrics]

    def areas(self, scores: dict[str, float]) -> dict[str, list[str]]:
        """Return the areas of each image by source; the network's key is ``''``.

        Args:
            scores: Scores of the test, with the best threshold of ``cam``.
        """
        found = {}
        for metric, results in self.results:
            if isinstance(metric, IoUMetric):
                rows = ((row[0].numpy(), row[1].numpy()) for row in results)
                found[''] = [write_areas(*row) for row in rows]
            elif isinstance(metric, PseudoLabelMetric):
                for source in metric.sources:
                    cut = None
                    if source == 'cam':
                        best = _named(scores, 'cam/best_bg_thr')
                        cut = metric.cuts.index(best) if best in metric.cuts else 0
                    size = len(metric._classes)
                    found[source] = [
                        write_areas(*_areas_of(entry[source], size, metric.cuts, cut))
                        for entry in results
                    ]
        return found


def _named(scores: dict[str, float], name: str) -> float:
    return next(value for key, value in scores.items() if key.endswith(name))


def _areas_of(
    counts: tuple, size: int, cuts: Sequence[float], cut: int | None
) -> tuple[np.ndarray, np.ndarray]:
    shape: tuple[int, ...] = (size, size + 1)
    if cut is not None:
        shape = (len(cuts), *shape)
    matrix = sum_counts([counts], shape).numpy()
    matrix = matrix if cut is None else matrix[cut]
    hit = matrix[:, :-1].diagonal()
    return hit, matrix.sum(1) + matrix[:, :-1].sum(0) - hit


def write_areas(intersection: Iterable[float], union: Iterable[float]) -> str:
    """Format the areas of an image.

    Args:
        intersection: Numbers of pixels of C classes.
        union: Numbers of pixels of C classes.

    Returns:
        ``class:intersection/union`` of the classes with a union, separated by spaces.

    Example:
        >>> write_areas([5, 0, 2], [7, 0, 4])
        '0:5/7 2:2/4'
    """
    return ' '.join(
        f'{index}:{int(hit)}/{int(all_)}'
        for index, (hit, all_) in enumerate(zip(intersection, union))
        if all_
    )


def read_areas(lines: Sequence[str], num_classes: int | None = None) -> np.ndarray:
    """Read the areas of N images.

    Args:
        lines: Results of :func:`write_areas`.
        num_classes: Number of classes C; by default as many as occur.

    Returns:
        Intersections and unions (N, C, 2), float64.

    Example:
        >>> read_areas(['0:5/7 2:2/4'])[0].tolist()
        [[5.0, 7.0], [0.0, 0.0], [2.0, 4.0]]
    """
    rows = [
        [tuple(map(int, part.replace('/', ':').split(':'))) for part in line.split()]
        for line in lines
    ]
    size = num_classes or 1 + max((part[0] for row in rows for part in row), default=0)
    areas = np.zeros((len(rows), size, 2))
    for image, row in enumerate(rows):
        for index, hit, all_ in row:
            areas[image, index] = hit, all_
    return areas
