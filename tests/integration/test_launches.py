"""The launches, waits, copies and collectives of a step do not grow."""

import sys
from pathlib import Path

import pytest
from helpers.methods import METHODS

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

import count_launches as counting

# Most launches, waits and copies; those of methods over all of their phases.
LIMITS = {
    'isda_update': (60, 0, 0),
    'isda_shift': (22, 0, 0),
    'rcm_loss': (50, 0, 2),
    'rcm_prototypes': (50, 0, 2),
    'random_walk': (150, 0, 0),
    'CAM': (60, 0, 0),
    'RRM': (862, 38, 5),
    'CAMSeg': (383, 12, 0),
    'AFA': (2910, 15, 5),
    'TSCD': (2152, 13, 1),
    'ASDT': (1418, 64, 11),
    'RCMMAM': (448, 0, 5),
    'AffinityNet': (768, 26, 5),
    'IRNet': (826, 26, 6),
    'SupervisedSegmentor': (82, 2, 0),
    'MeanTeacherSegmentor': (246, 2, 1),
    'CPS': (435, 4, 1),
    'FixMatch': (246, 2, 1),
    'UniMatch': (443, 2, 2),
    'UniMatchV2': (306, 2, 2),
    'MKD': (1137, 4, 1),
}
# With a collective inside a loss, or of statistics; one for counts in all others.
TWO_COLLECTIVES = ('TSCD', 'RCMMAM', 'MKD')


def test_everything_has_a_limit():
    assert set(LIMITS) == {*counting.PARTS, *METHODS}


@pytest.mark.parametrize('name', LIMITS)
def test_counts(name):
    for label, counts, collectives in counting.measure([name]):
        row = counts.totals()
        found = [row.get(key, 0) for key in ('launches', 'waits', 'copies')]
        assert all(n <= most for n, most in zip(found, LIMITS[name])), (label, found)
        assert not counts.mixed
        assert (collectives or 0) <= 1 + (name in TWO_COLLECTIVES), label
