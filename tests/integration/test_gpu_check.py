"""The check of a GPU runs, on a CPU, and the page about it has its figures."""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / 'benchmarks'))

import gpu_check
import gpu_tables
from gpu_sections.recipes import RECIPES

ROOT = gpu_check.ROOT


def test_every_section_passes_on_a_cpu(tmp_path):
    out = tmp_path / 'report.json'
    command = [sys.executable, gpu_check.__file__, '--device', 'cpu', '--tiny']
    env = os.environ | {'PYTHONPATH': str(ROOT)}
    command += ['--budget', '3000', '--out', str(out)]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    report = json.loads(out.read_text())
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert list(report['sections']) == list(gpu_check.SECTIONS)
    for name, section in report['sections'].items():
        assert section['complete'], name
        assert section['rows'], name
        assert section['passed'] == len(section['rows']), section['failed']
    assert report['machine']['gpu'] is None
    tables = gpu_tables.tables(report)
    assert gpu_tables.NONE not in tables['machine'] + tables['sections']
    assert '| ASDT, labels of teacher B, float32 | not' not in tables['steps']


def rows_and_exit(setting):
    yield {'what': 'good', 'ok': True}
    yield {'what': 'bad', 'ok': False}
    os._exit(3)


def rows_and_error(setting):
    yield {'what': 'good', 'ok': True}
    raise ValueError('broken section')


def rows_and_sleep(setting):
    yield {'what': 'good', 'ok': True}
    time.sleep(600)


@pytest.mark.parametrize(
    ('rows', 'limit', 'failed', 'complete'),
    [
        (rows_and_exit, 300, ['bad', 'new: exit status 3'], True),
        (rows_and_error, 300, ['new'], True),
        (rows_and_sleep, 10, [], False),
    ],
)
def test_a_section_fails_alone(rows, limit, failed, complete, tmp_path, monkeypatch):
    monkeypatch.setitem(gpu_check.SECTIONS, 'new', SimpleNamespace(rows=rows, SHARE=1))
    args = argparse.Namespace(
        device='cpu', tiny=True, threads=1, out=tmp_path / 'report.json'
    )
    report = gpu_check.check_section('new', args, limit)
    assert report['failed'] == failed
    assert report['complete'] is complete
    assert report['passed'] == 1
    if rows is rows_and_error:
        assert 'broken section' in report['rows'][-1]['error']
    assert not list(tmp_path.iterdir())


def test_no_report_is_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, 'SECTIONS', {})
    out = tmp_path / 'report.json'
    out.write_text('old')
    command = ['gpu_check.py', '--device', 'cpu', '--tiny', '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', command)
    monkeypatch.setattr(os, 'replace', Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        gpu_check.main()
    assert [path.read_text() for path in tmp_path.iterdir()] == ['old']


def test_the_page_has_the_figures_of_the_report():
    path = gpu_tables.REPORT
    report = json.loads(path.read_text()) if path.is_file() else {}
    page = gpu_tables.PAGE.read_text()
    assert gpu_tables.filled(page, report) == page
    assert set(gpu_tables.SECTIONS) == set(gpu_check.SECTIONS)
    steps = {
        f'{name}, {phase}, {recipe.dtype}'
        for name, recipe in RECIPES.items()
        for phase in recipe.phases
    }
    assert set(gpu_tables.STEPS) == steps


def test_figures_fill_the_tables():
    figures = {'ms': {'ours': 12.4, 'naive': 30.0}, 'GiB': {'ours': 5.25}}
    counts = {'launches': 900, 'waits': {'a.py:1': 3, 'b.py:2': 1}, 'idle_ratio': 0.25}
    row = {'what': 'MKD, training, float16', 'ok': True, **figures, **counts}
    section = {'rows': [row], 'passed': 1, 'failed': [], 'seconds': 7.2}
    report = {'sections': {'steps': section | {'complete': False}}}
    tables = gpu_tables.tables(report)
    line = '| MKD, training, float16 | 12 | 30 | 5.2 | 900 | 4 | 25 % |'
    assert line in tables['steps']
    assert '| 1 | 0 | 7, out of time |' in tables['sections']
    assert tables['machine'] == 'No report: nothing here is measured.\n'
    # A check that was killed has no machine, a section that failed no figures.
    speed = {'copy_GBs': 3000.0, 'float16_TFLOPs': 700.0}
    versions = {'torch': '2.13', 'triton': None, 'python': '3.12'}
    environment = {'what': 'environment', 'ok': True, **versions, **speed}
    parts = {'rows': [environment], 'complete': False}
    report['sections']['environment'] = section | parts
    shown = 'A machine without a recorded name, torch 2.13, Triton not installed'
    assert gpu_tables.tables(report)['machine'].startswith(shown)
    failed = {'what': 'environment', 'ok': False, 'error': 'x'}
    report['sections']['environment']['rows'] = [failed]
    assert gpu_tables.tables(report)['machine'] == tables['machine']
