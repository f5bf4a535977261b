"""Runs of a comparison: equal parts, resumption, failures, and the report."""

import json
import re
from pathlib import Path

import pytest
from helpers.tiny import tiny_config

from mmseg_wsss.pipelines import compare_run
from mmseg_wsss.pipelines.compare import compare
from mmseg_wsss.pipelines.compare_stats import mean_iou
from mmseg_wsss.pipelines.comparison import read_comparison
from mmseg_wsss.pipelines.image_areas import read_areas

FILE = """
baseline = 'plain'
seeds = (0,)
sources = ('cam',)
tests = {'single scale': {}}
starts = dict(classifier=dict(config='cam.py'))
runs = {
    'plain': dict(config='rrm.py', start='classifier'),
    'other': dict(config='rrm.py', start='classifier', cfg_options=OPTIONS),
}
"""
FASTER = "{'optim_wrapper.optimizer.lr': 0.01}"
BROKEN = "{'model.alphas': (0, 1)}"


@pytest.fixture
def folder(tiny_voc, tmp_path) -> Path:
    """Two configs of two steps."""
    for name, method in (('cam', 'CAM'), ('rrm', 'RRM')):
        cfg = tiny_config(method, tiny_voc, tmp_path / 'unused', 2)
        cfg.export_dataloader = cfg.test_dataloader
        cfg.dump(tmp_path / f'{name}.py')
    return tmp_path


def write(folder: Path, options: str = FASTER, **lines: str) -> Path:
    text = FILE.replace('OPTIONS', options)
    for key, value in lines.items():
        text = re.sub(rf'^{key} = .*$', f'{key} = {value}', text, flags=re.M)
    path = folder / 'comparison.py'
    path.write_text(text)
    return path


def do(path: Path, name: str, seed: int = 0) -> dict:
    """Do a run in this process."""
    comparison = read_comparison(path)
    run = {**comparison.runs, **comparison.starts}[name]
    root = str(path.parent / 'out/runs')
    return compare_run.do_run(comparison, run, seed, root)


def test_runs_are_done_once_and_reported(folder, capsys):
    path, out = write(folder), folder / 'out'
    for name in ('classifier', 'plain'):
        do(path, name)
    capsys.readouterr()
    report = compare(path, out, jobs=2)
    shown = capsys.readouterr().out
    assert shown.startswith('2 of 3 runs are finished\n[3/3] other, seed 0: ')
    assert report['failed'] == {}
    assert {run['name'] for run in report['runs']} == {'classifier', 'plain', 'other'}
    for run in report['runs']:
        for score, lines in run['areas'].items():
            (miou,) = mean_iou(read_areas(lines))
            assert miou == pytest.approx(run['scores'][score], abs=0.006)  # 2 digits
    rows = report['scores']['val/single scale']
    difference = rows['other']['mean'] - rows['plain']['mean']
    assert rows['other']['difference'] == pytest.approx(difference)
    assert rows['other']['interval'][0] <= rows['other']['interval'][1]
    assert 'train/cam/over_activation' in report['scores']

    written = {path: path.read_text() for path in out.glob('comparison.*')}
    assert json.loads(written[out / 'comparison.json'])['failed'] == {}
    assert '| other | 1 | ' in written[out / 'comparison.md']
    assert '<svg' in written[out / 'comparison.svg']
    compare(path, out, jobs=0)
    assert capsys.readouterr().out == '3 of 3 runs are finished\n'
    assert {path: path.read_text() for path in written} == written


def test_a_failed_run_is_named_and_the_others_go_on(folder, capsys):
    path = write(folder, BROKEN)
    do(path, 'classifier')
    capsys.readouterr()
    report = compare(path, folder / 'out', jobs=2)
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if 'FAILED' in line]
    assert 'FAILED other, seed 0: error: ' in line
    assert 'alphas' in line
    assert list(report['failed']) == ['other, seed 0']
    assert set(report['scores']['val/single scale']) == {'plain'}
