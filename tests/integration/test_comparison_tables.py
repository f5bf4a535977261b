"""The tables of docs/results.md are those of the saved comparisons."""

import json
import math
import sys

import comparison_tables
import pytest
from comparison_tables import (
    IDEAS,
    NONE,
    PAGE,
    README,
    REPORTS,
    ROOT,
    TABLE,
    check_places,
    filled,
    summary,
    verdict,
)

from mmseg_wsss.pipelines.compare_report import pair_summary, read_report, table_of
from mmseg_wsss.pipelines.comparison import read_comparison

SEEDS = {'0': 40.0, '1': 42.0}
BASE = {'mean': 41.0, 'std': 1.4142, 'difference': None, 'error': None}
OTHER = {'mean': 43.5, 'std': 0.7071, 'difference': 2.5, 'error': 0.5}
RUN = {'seconds': 900.0, 'machine': 'a CPU', 'start': 'masks', 'seed': 0}
BUDGET = {'steps': 600, 'images_a_step': 16}
REPORT = {
    'comparison': 'toy_x',
    'baseline': 'plain',
    'score': 'val/single scale',
    'seeds': [0, 1],
    'allowed_to_differ': [],
    'failed': {},
    'missing': ['other, seed 2'],
    'scores': {
        'val/single scale': {
            'plain': {**BASE, 'values': SEEDS},
            'other': {**OTHER, 'interval': [1.25, 3.75], 'values': SEEDS},
        }
    },
    'runs': [{'name': name, **RUN, **BUDGET} for name in ('plain', 'other')],
}
EMPTY = 'Before.\n<!-- table: toy_x -->\nold\n<!-- end of table -->\nAfter.\n'


@pytest.mark.parametrize(('num', 'head'), [(2, 'run | b0 | b1'), (3, 'score | plain')])
def test_many_other_scores_are_rows(num, head):
    others = {f'train/b{i}': {'plain': {**BASE, 'values': SEEDS}} for i in range(num)}
    rows = {'plain': BASE, 'other': OTHER}
    for score in others.values():
        score.update({name: {**row, 'values': SEEDS} for name, row in rows.items()})
    report = json.loads(json.dumps(REPORT | {'scores': REPORT['scores'] | others}))
    for scores in report['scores'].values():
        for row in scores.values():
            row.update({key: math.nan for key, value in row.items() if value is None})
    text = table_of(report)
    assert f'| {head.replace("b", "train/b")} |' in text
    cell = '43.5 ± 0.7 (+2.5 ± 0.5)'
    row = f'| other | {" | ".join([cell] * num)} |'
    assert (row if num == 2 else f'| train/b2 | 41.0 ± 1.4 | {cell} |') in text
    title = 'Other scores: mean ± standard deviation (difference ± standard error)'
    opening, closing = f'<details>\n<summary>{title}</summary>', '</details>'
    start = text.index(f'{title}:')
    end = text.index('\n\n', start + len(title) + 3)
    table = text[start + len(title) + 3 : end]
    folded = f'{text[:start]}{opening}\n\n{table}\n\n{closing}{text[end:]}'
    assert table_of(report, folded=True) == folded


def test_one_command_adds_a_report_and_fills_the_page(tmp_path, monkeypatch):
    page, report, folder = (tmp_path / name for name in ('page.md', 'x.json', 'all'))
    readme = tmp_path / 'readme.md'
    page.write_text(EMPTY)
    readme.write_text('<!-- table: does-it-help -->\n<!-- end of table -->\n')
    report.write_text(json.dumps(REPORT))
    command = [str(report), '--page', str(page), '--folder', str(folder)]
    command += ['--readme', str(readme)]
    monkeypatch.setattr(sys, 'argv', ['comparison_tables.py', *command])
    comparison_tables.main()
    text = page.read_text()
    assert '| plain | 2 | 41.00 | 1.41 | - | - | - |\n' in text
    assert '| other | 2 | 43.50 | 0.71 | +2.50 | 0.50 | +1.2 to +3.8 |\n' in text
    assert '2 trainings, 0.5 hours of training in all (a CPU).' in text
    budget = 'Budget: plain, other: 600 steps of 16 images from masks.'
    assert f'{budget}\n\nStart not recorded: all runs.\n\nNot finished' in text
    assert 'Not finished: 1 of 3 runs.\n\n`python tools/misc/compare.py ' in text
    assert '--reuse benchmarks/results/comparisons/toy_x.json` goes on.' in text
    assert f'[toy_x.json]({comparison_tables.LINK}/toy_x.json)' in text
    assert text.startswith('Before.\n<!-- table: toy_x -->\n`python ')
    assert text.endswith('goes on.\n<!-- end of table -->\nAfter.\n')
    assert json.loads((folder / 'toy_x.json').read_text()) == REPORT
    comparison_tables.main()
    assert page.read_text() == text


def test_a_comparison_that_was_not_run_says_so():
    assert f'toy_x -->\n{NONE}: ' in filled(EMPTY, {})


def test_a_report_without_a_place_is_named():
    with pytest.raises(ValueError, match='no place for the report toy_y: add'):
        check_places(EMPTY, {'toy_y': REPORT})


def test_the_page_has_the_figures_of_the_reports():
    found = {path.stem: read_report(path) for path in REPORTS.glob('*.json')}
    for path in (PAGE, README):
        page = path.read_text()
        assert filled(page, found) == page, f'run python {comparison_tables.__file__}'


@pytest.mark.parametrize(
    ('row', 'shown'),
    [
        ({}, 'helps'),
        ({'error': 1.3}, 'not shown'),
        ({'interval': [-0.1, 5.0]}, 'not shown'),
        ({'difference': -2.5, 'interval': [-3.0, -1.0]}, 'costs'),
        ({'values': SEEDS}, 'two seeds only'),
        ({'values': SEEDS, 'error': 1.3}, 'two seeds only'),
    ],
)
def test_a_verdict_needs_the_error_the_interval_and_three_seeds(row, shown):
    known = {'difference': 2.5, 'error': 0.5, 'interval': [1, 4]}
    values = {**SEEDS, '2': 41.0}
    assert verdict({'values': values, **known, **row}) == shown


def test_a_summary_compares_any_two_runs(monkeypatch):
    """All images of a run are equal, so each draw of a seed gives its difference."""
    ideas = [('idea', 'toy', 'toy_x', 'with', 'without')]
    ideas += [('reversed', 'toy', 'toy_x', 'without', 'with')]
    ideas += [('not run', 'toy', 'toy_y', 'with', 'without')]
    monkeypatch.setattr(comparison_tables, 'IDEAS', ideas)
    # The seed that one of the two lacks does not count.
    scores = {'without': (40, 42, 99), 'with': (43, 44)}
    runs = [
        {
            'name': name,
            'seed': seed,
            'scores': {'val/single scale': float(score)},
            'areas': {'val/single scale': [f'0:{score}/100'] * 3},
            'images': {},
        }
        for name, found in scores.items()
        for seed, score in enumerate(found)
    ]
    runs.append({'name': 'start', 'seed': 0, 'scores': {}, 'areas': {}, 'images': {}})
    report = {**REPORT, 'images': {'val': ['a', 'b', 'c']}, 'runs': runs}
    assert pair_summary(report, 'without', 'start')[1]['values'] == {}
    assert pair_summary(report, 'without', 'with')[1]['interval'] == (2, 3)
    lines = summary({'toy_x': report}).splitlines()[2:]
    one, other, end = '41.0 ± 1.4', '43.5 ± 0.7', '2.50 ± 0.50 | two seeds only |'
    assert lines == [
        f'| idea | toy | 2 | {one} | {other} | +{end}',
        f'| reversed | toy | 2 | {other} | {one} | -{end}',
    ]


def test_ideas_are_runs_of_comparisons():
    for _, _, name, run, base in IDEAS:
        path = ROOT / f'configs/comparisons/{name}.py'
        comparison = read_comparison(path)
        assert {run, base} <= comparison.runs.keys()
        assert run != base


def test_every_comparison_file_has_a_table():
    files = {path.stem for path in (ROOT / 'configs/comparisons').glob('*.py')}
    names = [name for _, name, _ in TABLE.findall(PAGE.read_text())]
    assert sorted(files) == sorted(names), (
        f"add '<!-- table: NAME -->' and '<!-- end of table -->' to {PAGE}"
    )


@pytest.mark.parametrize('name', ['toy_semi', 'camvid_semi'])
def test_methods_with_one_and_two_strong_views_have_the_same(name):
    comparison = read_comparison(ROOT / f'configs/comparisons/{name}.py')
    views = {}
    for method in ('FixMatch', 'UniMatch', 'UniMatch V2'):
        dataset = comparison.runs[method].load().train_dataloader.dataset
        branches = dict(dataset.unlabeled.pipeline[-1])
        views[method] = [branches[k] for k in sorted(branches) if 'strong' in k]
    (one,) = views['FixMatch']
    assert views['UniMatch'] == views['UniMatch V2'] == [one, one]
