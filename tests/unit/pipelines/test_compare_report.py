"""The report of a comparison from results that are written by hand."""

import json
import math

import pytest

from mmseg_wsss.pipelines.compare_report import runs_of, write_report
from mmseg_wsss.pipelines.comparison import Comparison, Run

RUNS = {name: Run(name, 'config.py', tests={'t': {}}) for name in ('base', 'other')}
NAMES = ['a', 'b', 'c', 'd']


def result(score: float, areas: list[str], names: list[str] = NAMES) -> dict:
    return {
        'scores': {'val/t': score},
        'areas': {'val/t': areas},
        'images': {'val/t': names},
        'wanted': {},
        'folder': 'runs/rrm/seed0-1',
        'steps': 30,
        'images_a_step': 4,
        'start': None,
    }


def report_of(results: dict, folder, seeds: tuple = (0, 1, 2)) -> dict:
    """Write a report and return the JSON file of it."""
    comparison = Comparison('file', 'base', RUNS, {}, seeds, 'val/t')
    write_report(comparison, folder, results, {}, ())
    return json.loads((folder / 'file.json').read_text())['scores']['val/t']


def test_differences_are_those_of_the_same_seed(tmp_path):
    """Seed 1 lacks the baseline: its score of 90 has no part in the difference."""
    lines = {10: ['0:1/10'] * 4, 20: ['0:2/10'] * 4, 60: ['0:6/10'] * 4}
    scores = {
        ('base', 0): 10,
        ('base', 2): 20,
        ('other', 2): 60,
        ('other', 1): 90,
        ('other', 0): 20,
    }
    results = {
        job: result(float(score), lines.get(score, ['0:9/10'] * 4))
        for job, score in scores.items()
    }
    row = report_of(results, tmp_path)['other']
    report = json.loads((tmp_path / 'file.json').read_text())
    assert report['missing'] == ['base, seed 1']
    assert 'Not finished: 1 of 6 runs.' in (tmp_path / 'file.md').read_text()
    assert row['mean'] == pytest.approx((20 + 90 + 60) / 3)
    assert row['difference'] == 25  # 20 - 10 and 60 - 20
    assert row['error'] == pytest.approx(15)
    # Pairs of unequal seeds would reach from 0 to 50.
    assert row['interval'] == [10, 40]
    table = (tmp_path / 'file.md').read_text()
    assert '| other | 3 | 56.67 | 35.12 | +25.00 | 15.00 | +10.0 to +40.0 |' in table
    assert 'Budget: base, other: 30 steps of 4 images.' in table


def test_other_images_have_no_interval(tmp_path):
    lines = ['0:1/10', '0:2/10', '0:3/10', '0:4/10']
    results = {
        ('base', 0): result(25.0, lines),
        ('other', 0): result(30.0, lines, ['a', 'b', 'c', 'x']),
    }
    row = report_of(results, tmp_path)['other']
    assert row['difference'] == 5
    assert 'interval' not in row
    results['other', 0] = result(30.0, lines[:2], ['a', 'b'])
    assert 'interval' not in report_of(results, tmp_path)['other']


def test_one_seed_and_an_undefined_score(tmp_path):
    """Undefined numbers are null in JSON, a dash in the table."""
    lines = ['0:1/10', '', '', '']
    results = {
        ('base', 0): result(10.0, lines),
        ('other', 0): result(math.nan, lines),
    }
    rows = report_of(results, tmp_path, seeds=(0,))
    assert rows['base']['std'] is None
    assert rows['other']['mean'] is None
    assert rows['other']['interval'] == [0, 0]
    table = (tmp_path / 'file.md').read_text()
    assert '| base | 1 | 10.00 | - | - | - | - |' in table
    assert '| other | 1 | - | - | - | - | +0.0 to +0.0 |' in table


def test_an_earlier_report_has_the_images_of_all_tests_together():
    run = result(10.0, ['0:1/10'] * 4)
    run['areas'] |= {'val/u': ['0:1/10'] * 4, 'train/cam': ['0:1/10']}
    (found,) = runs_of(
        {'images': {'val': NAMES, 'train': ['x']}, 'runs': [run | {'images': {}}]}
    )
    assert found['images'] == {'val/t': NAMES, 'val/u': NAMES, 'train': ['x']}
    own = {'images': {'val': NAMES[:2], 'val/u': NAMES[2:]}}
    (found,) = runs_of({'images': {}, 'runs': [run | own]})
    assert found['images'] == {'val/t': NAMES[:2], 'val/u': NAMES[2:]}
