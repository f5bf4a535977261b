"""Statistics of comparisons against constants and a plain reference."""

import math

import numpy as np
import pytest

from mmseg_wsss.pipelines.compare_stats import (
    bootstrap_interval,
    mean_iou,
    summarize,
)
from mmseg_wsss.pipelines.image_areas import read_areas, write_areas


def test_summary_by_hand():
    found = summarize([50.0, 52.0, 57.0], [1.0, 3.0])
    assert found.mean == 53.0
    assert found.std == pytest.approx(math.sqrt(13))  # (9 + 1 + 16) / 2
    assert found.difference == 2.0
    assert found.error == pytest.approx(1.0)  # sqrt(2) / sqrt(2)


def test_one_seed_has_no_spread():
    found = summarize([50.0], [1.0])
    assert (found.mean, found.difference) == (50.0, 1.0)
    assert math.isnan(found.std)
    assert math.isnan(found.error)
    assert math.isnan(summarize([50.0]).difference)


def test_mean_iou_by_hand():
    areas = read_areas(['0:8/10 1:2/4', '0:1/10 2:0/5'])
    # Both: 9/20, 2/4, 0/5; the first image twice: 8/10, 2/4, class 2 is absent.
    found = mean_iou(areas, np.array([[1, 1], [2, 0]]))
    assert found.tolist() == pytest.approx([100 * 0.95 / 3, 65.0])


def test_areas_survive_their_text():
    areas = np.random.default_rng(0).integers(0, 9, (5, 4, 2))
    areas[..., 1] += areas[..., 0]
    lines = [write_areas(*image.T) for image in areas]
    assert np.array_equal(read_areas(lines, 4), areas)


def random_areas(rng: np.random.Generator, skill: float) -> np.ndarray:
    union = rng.integers(50, 100, (40, 3))
    hit = np.minimum(rng.binomial(union, skill), union)
    return np.stack([hit, union], -1).astype(float)


def plain_interval(run: list, base: list, samples: int) -> np.ndarray:
    """Draw with Python's loops and compute each mIoU from scratch."""
    rng = np.random.default_rng(7)
    means = []
    for _ in range(samples):
        images = rng.integers(40, size=40)
        differences = []
        for seed in rng.integers(len(run), size=len(run)):
            scores = []
            for areas in (run[seed], base[seed]):
                drawn = areas[images].sum(0)
                scores.append(np.mean(drawn[:, 0] / drawn[:, 1]))
            differences.append(100 * (scores[0] - scores[1]))
        means.append(np.mean(differences))
    return np.quantile(means, [0.025, 0.975])


def test_bootstrap_agrees_with_a_plain_reference():
    rng = np.random.default_rng(1)
    base = [random_areas(rng, 0.5) for _ in range(3)]
    run = [random_areas(rng, skill) for skill in (0.52, 0.55, 0.58)]
    low, high = bootstrap_interval(run, base)
    expected = plain_interval(run, base, 4000)
    width = expected[1] - expected[0]
    assert low == pytest.approx(expected[0], abs=0.1 * width)
    assert high == pytest.approx(expected[1], abs=0.1 * width)
    assert low > 0


def test_bootstrap_of_equal_images_and_seeds_has_no_width():
    image = np.array([[[6.0, 10.0], [2.0, 5.0]]])
    other = np.array([[[5.0, 10.0], [2.0, 5.0]]])
    run, base = [np.repeat(image, 4, 0)] * 2, [np.repeat(other, 4, 0)] * 2
    assert bootstrap_interval(run, base) == pytest.approx((5.0, 5.0))


def test_bootstrap_draws_pairs():
    """Images and seeds differ widely; the gain on each of them is 5 % all the same."""
    hit = np.random.default_rng(2).integers(0, 90, (3, 40, 1))
    hit[2] //= 4  # a bad seed
    base = np.stack([hit, np.full_like(hit, 100)], -1)
    run = base + np.array([5, 0])
    assert np.ptp([mean_iou(areas) for areas in base]) > 20
    found = bootstrap_interval(list(run), list(base))
    assert found == pytest.approx((5.0, 5.0))


def test_bootstrap_refuses_other_images():
    areas = np.ones((4, 2, 2))
    with pytest.raises(ValueError, match=r'found \[4\] and \[3\] images'):
        bootstrap_interval([areas], [areas[:3]])
