"""The tables of docs/results.md are those of the saved comparisons."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

import comparison_tables
from comparison_tables import NONE, PAGE, REPORTS, ROOT, TABLE, filled

from mmseg_wsss.pipelines.compare_report import read_report

SEEDS = {'0': 40.0, '1': 42.0}
BASE = {'mean': 41.0, 'std': 1.4142, 'difference': None, 'error': None}
OTHER = {'mean': 43.5, 'std': 0.7071, 'difference': 2.5, 'error': 0.5}
RUN = {'seconds': 900.0, 'machine': 'a CPU'}
REPORT = {
    'comparison': 'toy_x',
    'baseline': 'plain',
    'score': 'val/single scale',
    'seeds': [0, 1],
    'allowed_to_differ': [],
    'failed': {},
    'scores': {
        'val/single scale': {
            'plain': {**BASE, 'values': SEEDS},
            'other': {**OTHER, 'interval': [1.25, 3.75], 'values': SEEDS},
        }
    },
    'runs': [{'name': name, **RUN} for name in ('plain', 'other')],
}
EMPTY = 'Before.\n<!-- table: toy_x -->\nold\n<!-- end of table -->\nAfter.\n'


def test_one_command_adds_a_report_and_fills_the_page(tmp_path, monkeypatch):
    page, report, folder = (tmp_path / name for name in ('page.md', 'x.json', 'all'))
    page.write_text(EMPTY)
    report.write_text(json.dumps(REPORT))
    command = [str(report), '--page', str(page), '--folder', str(folder)]
    monkeypatch.setattr(sys, 'argv', ['comparison_tables.py', *command])
    comparison_tables.main()
    text = page.read_text()
    assert '| plain | 2 | 41.00 | 1.41 | - | - | - |\n' in text
    assert '| other | 2 | 43.50 | 0.71 | +2.50 | 0.50 | +1.2 to +3.8 |\n' in text
    assert '2 trainings, 0.5 hours in all (a CPU).' in text
    assert f'[toy_x.json]({comparison_tables.LINK}/toy_x.json)' in text
    assert text.startswith('Before.\n<!-- table: toy_x -->\n`python ')
    assert text.endswith('|\n<!-- end of table -->\nAfter.\n')
    assert json.loads((folder / 'toy_x.json').read_text()) == REPORT
    comparison_tables.main()
    assert page.read_text() == text


def test_a_comparison_that_was_not_run_says_so():
    assert f'toy_x -->\n{NONE}: ' in filled(EMPTY, {})


def test_a_report_without_a_place_is_named():
    with pytest.raises(ValueError, match='no place for the report toy_y: add'):
        filled(EMPTY, {'toy_y': REPORT})


def test_the_page_has_the_figures_of_the_reports():
    page = PAGE.read_text()
    found = {path.stem: read_report(path) for path in REPORTS.glob('*.json')}
    assert filled(page, found) == page, f'run python {comparison_tables.__file__}'


def test_every_comparison_file_has_a_table():
    files = {path.stem for path in (ROOT / 'configs/comparisons').glob('*.py')}
    names = [name for _, name, _ in TABLE.findall(PAGE.read_text())]
    assert sorted(files) == sorted(names), (
        f"add '<!-- table: NAME -->' and '<!-- end of table -->' to {PAGE}"
    )
