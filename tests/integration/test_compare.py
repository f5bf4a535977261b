"""Runs of a comparison: equal parts, resumption, failures, and the report."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.comparisons import (
    ALONE,
    BROKEN,
    do,
    finished,
    weights,
    write,
    write_configs,
)
from mmengine.hooks import Hook

from mmseg_wsss.pipelines import compare as compare_module
from mmseg_wsss.pipelines import compare_run, measure
from mmseg_wsss.pipelines.compare import compare
from mmseg_wsss.pipelines.compare_stats import mean_iou
from mmseg_wsss.pipelines.comparison import read_comparison
from mmseg_wsss.pipelines.image_areas import read_areas


@pytest.fixture
def folder(tiny_voc, tmp_path) -> Path:
    return write_configs(tiny_voc, tmp_path)


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


def test_a_saved_report_stands_for_its_runs(folder, tmp_path, capsys):
    """Saved runs are not trained again, but starts that unfinished runs need."""
    path, out = write(folder), folder / 'out'
    for name in ('classifier', 'plain', 'other'):
        do(path, name)
    report = compare(path, out, jobs=0)
    assert str(folder) not in json.dumps(report)
    saved, elsewhere = out / 'comparison.json', tmp_path / 'elsewhere'
    compare(path, elsewhere, jobs=1, reuse=[saved])
    assert '3 of 3 runs are finished' in capsys.readouterr().out
    assert (elsewhere / 'comparison.json').read_text() == saved.read_text()

    write(folder, "{'optim_wrapper.optimizer.lr': 0.02}")
    begun = []

    def begin(comparison, path, job, root, slot):
        run, seed = job
        begun.append(run.name)
        do_run(comparison, run, seed, root)
        process = subprocess.Popen([sys.executable, '-c', ''])
        return compare_module.Running(process, slot, folder / 'log')

    do_run = compare_run.do_run
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_module, '_begin', begin)
        compare(path, elsewhere, jobs=1, reuse=[saved])
    assert begun == ['classifier', 'other']

    # On a machine that rounds otherwise the start is another network.
    report = json.loads(saved.read_text())
    for run in report['runs']:
        key = 'network' if run['start'] is None else 'start_network'
        run[key] = 'of another machine'
    saved.write_text(json.dumps(report))
    begun.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare_module, '_begin', begin)
        found = compare(path, tmp_path / 'third', jobs=1, reuse=[saved])
    assert begun == ['classifier', 'other', 'plain']
    assert found['missing'] == []
    networks = {run['name']: run.get('start_network') for run in found['runs']}
    assert networks['plain'] == networks['other'] != 'of another machine'
    compare(path, tmp_path / 'third', jobs=0, reuse=[saved])
    assert '3 of 3 runs are finished' in capsys.readouterr().out

    saved.write_text('{}')
    with pytest.raises(ValueError, match=r'comparison.json: expected a JSON file that'):
        compare(path, elsewhere, jobs=0, reuse=[saved])


def test_a_part_of_the_runs_is_reported_with_all_that_is_finished(folder, capsys):
    path, out = write(folder), folder / 'out'
    do(path, 'classifier')
    do(path, 'plain')
    do(path, 'other')
    whole = compare(path, out, jobs=0)
    text = (out / 'comparison.json').read_text()
    assert whole['missing'] == []
    compare(path, out, jobs=1, only=['plain'])
    assert '2 of 2 runs are finished' in capsys.readouterr().out
    assert (out / 'comparison.json').read_text() == text
    more = compare(path, out, jobs=0, seeds=[0, 3])
    assert more['seeds'] == [0, 3]
    assert more['missing'] == [f'{n}, seed 3' for n in ('classifier', 'plain', 'other')]


def test_a_saved_report_claims_only_the_scores_it_holds(folder, tmp_path):
    """Another comparison scores the same run: its report does not stand for both."""
    first, second = (folder / f'{name}.py' for name in ('a', 'b'))
    first.write_text(ALONE.replace('max_iters = 4', 'max_iters = 2'))
    tests = "\ntests = {'test': {}}"
    second.write_text(first.read_text().replace("sources = ('cam',)", tests))
    for path in (first, second):
        do(path, 'alone')
        compare(path, folder / 'out', jobs=0)
    reports = [folder / f'out/{name}.json' for name in ('a', 'b')]
    root = str(tmp_path / 'elsewhere/runs')
    compare_run.restore(reports[1], root)
    assert finished(first, 'alone', root) is None
    assert set(finished(second, 'alone', root)['scores']) == {'val/test'}
    compare_run.restore(reports[0], root)
    assert set(finished(second, 'alone', root)['scores']) == {'val/test'}
    assert 'train/cam' in finished(first, 'alone', root)['scores']


def test_saved_scores_of_another_network_are_left_out(folder, tmp_path):
    path, root = folder / 'a.py', str(tmp_path / 'elsewhere/runs')
    path.write_text(ALONE.replace('max_iters = 4', 'max_iters = 2'))
    local = do(path, 'alone', root)
    compare(path, tmp_path / 'elsewhere', jobs=0)
    saved = tmp_path / 'elsewhere/a.json'
    report = json.loads(saved.read_text())
    (run,) = report['runs']
    run['scores']['val/other'] = 90.0
    run['wanted']['tests']['other'] = {}
    for network, merged in (('of another machine', False), (None, True)):
        run['network'] = network
        saved.write_text(json.dumps(report))
        compare_run.restore(saved, root)
        stored = json.loads(Path(local['folder'], 'run.json').read_text())
        assert ('val/other' in stored['scores']) == merged
        assert ('other' in stored['wanted']['tests']) == merged
        assert stored['network'] == local['network']

    for part in ('wanted', 'areas', 'folder', 'name'):
        without = {key: value for key, value in run.items() if key != part}
        saved.write_text(json.dumps(report | {'runs': [without]}))
        with pytest.raises(ValueError, match=rf"a.json: expected a JSON.*'{part}'"):
            compare_run.restore(saved, root)


def test_every_test_has_images_of_its_own(folder):
    path, root = folder / 'a.py', str(folder / 'out/runs')
    few = "dict(cfg_options={'test_dataloader.dataset.dataset.indices': 2})"
    tests = f"\ntests = {{'all': {{}}, 'few': {few}}}"
    text = ALONE.replace('max_iters = 4', 'max_iters = 2')
    path.write_text(text.replace("\nsources = ('cam',)", tests))
    result = do(path, 'alone', root)
    names = result['images']['val/all']
    assert result['images'] == {'val/all': names, 'val/few': names[:2]}
    assert len(names) > 2
    for test, images in result['images'].items():
        assert len(result['areas'][test]) == len(images)
    assert finished(path, 'alone', root) == result
    assert compare(path, folder / 'out', jobs=0)['images'] == result['images']


def test_comparisons_share_runs_and_keep_their_scores(folder, tmp_path):
    """A folder of a run serves several files: none undoes what another has scored."""
    root = str(tmp_path / 'runs')
    first, second, third = (folder / f'{name}.py' for name in ('a', 'b', 'c'))
    first.write_text(ALONE.replace('max_iters = 4', 'max_iters = 2'))
    tests = "\ntests = {'test': dict(cfg_options={'log_level': 'ERROR'})}"
    second.write_text(first.read_text().replace("sources = ('cam',)", tests))
    alone = do(first, 'alone', root)
    assert finished(second, 'alone', root) is None
    tested = do(second, 'alone', root)
    assert tested['folder'] == alone['folder']
    assert set(finished(second, 'alone', root)['scores']) == {'val/test'}
    for part in ('scores', 'areas'):
        assert finished(first, 'alone', root)[part] == alone[part]
    # Another test of the same name is another test.
    half = "\ntests = {'test': dict(ms_flip=True, scales=(0.5,))}"
    third.write_text(second.read_text().replace(tests, half))
    assert finished(third, 'alone', root) is None
    changed = do(third, 'alone', root)
    assert changed['areas']['val/test'] != tested['areas']['val/test']


def test_an_interrupted_run_goes_on(folder, tmp_path, monkeypatch):
    path = folder / 'alone.py'
    path.write_text(ALONE)
    whole = weights(do(path, 'alone'))

    seen = []

    class InterruptHook(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            seen.append(runner.iter)
            if seen == [0, 1, 2]:
                raise KeyboardInterrupt

    build = measure._runner

    def interrupted(cfg):
        runner = build(cfg)
        runner.register_hook(InterruptHook())
        return runner

    again = str(tmp_path / 'again')
    monkeypatch.setattr(measure, '_runner', interrupted)
    with pytest.raises(KeyboardInterrupt):
        do(path, 'alone', root=again)
    (checkpoint,) = Path(again).rglob('iter_*.pth')
    assert checkpoint.name == 'iter_2.pth'
    partly = json.loads((checkpoint.parent / 'measure.json').read_text())['seconds']
    assert finished(path, 'alone', again) is None
    resumed = do(path, 'alone', root=again)
    assert resumed['seconds'] > partly > 0
    assert seen == [0, 1, 2, 2, 3]  # the weights are equal without resuming, too
    for key, value in weights(resumed).items():
        assert torch.equal(value, whole[key]), key
    assert finished(path, 'alone', again) == resumed


def test_an_interruption_ends_the_runs(folder, monkeypatch):
    path = write(folder)
    started = []

    def begin(*args):
        command = [sys.executable, '-c', 'import time; time.sleep(60)']
        process = subprocess.Popen(command)
        started.append(process)
        return compare_module.Running(process, 0, folder / 'log')

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare_module, '_begin', begin)
    monkeypatch.setattr(compare_module.time, 'sleep', interrupt)
    with pytest.raises(KeyboardInterrupt):
        compare(path, folder / 'out', jobs=1)
    assert [process.poll() for process in started] == [-signal.SIGTERM]


@pytest.mark.parametrize(
    ('code', 'reason'),
    [
        ('import os; os.kill(os.getpid(), 9)', 'killed by SIGKILL, e.g. for lack of'),
        ('import os; os.kill(os.getpid(), 15)', 'killed by SIGTERM'),
        ('raise SystemExit(3)', 'exit status 3'),
        ('raise SystemExit("error: new")', 'error: new'),
    ],
)
def test_the_reason_is_of_the_last_attempt(folder, monkeypatch, code, reason):
    comparison = read_comparison(write(folder))
    job, root = (comparison.starts['classifier'], 0), str(folder / 'out')
    log = Path(comparison.config(*job, root).work_dir, compare_module.LOG)
    log.parent.mkdir(parents=True)
    log.write_text('error: of an earlier attempt')
    popen = subprocess.Popen
    monkeypatch.setattr(
        compare_module.subprocess,
        'Popen',
        lambda command, **options: popen([sys.executable, '-c', code], **options),
    )
    one = compare_module._begin(comparison, 'file.py', job, root, 0)
    one.process.wait()
    assert compare_module._reason(one).startswith(reason)


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
