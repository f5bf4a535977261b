"""Compute mean IoU, paired differences and bootstrap intervals from areas of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Summary:
    """Values of a score over seeds, and their differences to the baseline.

    Undefined values are NaN, such as the standard deviation of one seed.

    Args:
        mean: Mean over the seeds.
        std: Standard deviation over the seeds (n - 1).
        difference: Mean of the paired differences to the baseline.
        error: Standard error of that mean over the seeds.
    """

    mean: float
    std: float
    difference: float
    error: float


def summarize(values: Sequence[float], paired: Sequence[float] = ()) -> Summary:
    """Summarize a score over seeds.

    Args:
        values: One value per seed.
        paired: Differences to the baseline, one per seed that both have.

    Example:
        >>> summarize([1.0, 3.0], [0.5, 1.5])
        Summary(mean=2.0, std=1.4142135623730951, difference=1.0, error=0.5)
    """
    std = _std(values)
    error = _std(paired) / len(paired) ** 0.5 if paired else float('nan')
    return Summary(_mean(values), std, _mean(paired), error)


def mean_iou(areas: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Compute the mIoU of weighted images.

    Args:
        areas: Intersections and unions (N, C, 2) of N images.
        weights: Number of times that each image counts (B, N); by default once.

    Returns:
        mIoU (B,) in percent, over the classes with a union above 0.

    Example:
        >>> mean_iou(np.array([[[1, 2], [1, 4]], [[1, 2], [0, 0]]])).tolist()
        [37.5]
    """
    if weights is None:
        weights = np.ones((1, len(areas)))
    total = np.tensordot(weights, areas, axes=1)
    hit, union = total[..., 0], total[..., 1]
    iou = np.divide(hit, union, out=np.zeros_like(hit), where=union > 0)
    return 100 * iou.sum(1) / np.maximum((union > 0).sum(1), 1)


def bootstrap_interval(
    run: Sequence[np.ndarray],
    baseline: Sequence[np.ndarray],
    samples: int = SAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> tuple[float, float]:
    """Compute a bootstrap interval of the mean difference in mIoU.

    Each sample draws all seeds and all images with replacement; both runs and all seeds
    share the drawn images. The interval lies between the percentiles of the samples.
    With noise between seeds alone, the percentiles lie within the extreme seeds: with
    three seeds, the coverage is about 75 %.

    Args:
        run: Areas (N, C, 2) of a run for each seed.
        baseline: Areas of the baseline for the same seeds and images.
        samples: Number of samples.
        level: Probability of the interval, in (0, 1).
        seed: Seed of the draws.

    Returns:
        Lower and upper bound in percentage points.

    Raises:
        ValueError: If the numbers of seeds or images differ.
    """
    shapes = [{len(areas) for areas in side} for side in (run, baseline)]
    if len(run) != len(baseline) or shapes[0] != shapes[1] or len(shapes[0]) != 1:
        raise ValueError(
            'expected the same seeds and images in both runs, found '
            f'{[len(a) for a in run]} and {[len(a) for a in baseline]} images'
        )
    rng = np.random.default_rng(seed)
    num = len(run[0])
    weights = rng.multinomial(num, np.full(num, 1 / num), samples).astype(float)
    pairs = zip(run, baseline)
    per_seed = np.stack([mean_iou(a, weights) - mean_iou(b, weights) for a, b in pairs])
    drawn = rng.integers(len(run), size=(samples, len(run)))
    means = per_seed[drawn, np.arange(samples)[:, None]].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float('nan')


def _std(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')
