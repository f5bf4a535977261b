"""Stages: what is done is not done again, and nothing half-done is trusted."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from mmseg_wsss.pipelines.stages import (
    Stage,
    call,
    digest,
    exit_on_sigterm,
    only_one,
    run_stages,
)

QUIET = Console(quiet=True)


class Kitchen:
    """Two stages of files; the second copies the first's text."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self.text = 'soup'
        self.ran: list[str] = []
        self.stop = ''

    def cook(self) -> None:
        self.ran.append('first')
        out = self.work_dir / 'first/out'
        out.mkdir(exist_ok=True)
        (out / 'a.txt').write_text(self.text[:2])
        if self.stop == 'first':
            raise KeyboardInterrupt
        (out / 'a.txt').write_text(self.text)

    def serve(self) -> None:
        self.ran.append('second')
        if self.stop == 'second':
            raise KeyboardInterrupt
        text = (self.work_dir / 'first/out/a.txt').read_text()
        (self.work_dir / 'second/b.txt').write_text(f'hot {text}')

    def run(self, console: Console = QUIET) -> list[str]:
        first = Stage(
            'first', {'text': self.text}, (), self.cook, self.path('first/out')
        )
        second = Stage('second', {}, ('first',), self.serve, self.path('second/b.txt'))
        self.ran = []
        run_stages([first, second], self.work_dir, console)
        return self.ran

    def path(self, name: str) -> Path:
        return self.work_dir / name


@pytest.fixture
def kitchen(tmp_path):
    return Kitchen(tmp_path)


def test_files_that_the_settings_name_count(tmp_path):
    weights, names = tmp_path / 'start.pth', tmp_path / 'data/list.txt'
    names.parent.mkdir()
    data = {'data_root': str(names.parent), 'ann_file': 'list.txt'}
    settings = {'load_from': str(weights), 'train': [{'dataset': data}], 'max_iters': 3}
    ran = []

    def train():
        ran.append(weights.read_text() + names.read_text())
        (tmp_path / 'work/network/out.txt').write_text(ran[-1])

    out = tmp_path / 'work/network/out.txt'
    stage = Stage('network', settings, (), train, out)
    for first, second in ('aa', 'aa', 'ba', 'bb', 'bb'):
        weights.write_text(first)
        names.write_text(second)
        run_stages([stage], tmp_path / 'work', QUIET)
    assert ran == ['aa', 'ba', 'bb']


def test_finished_stages_are_not_run_again(kitchen):
    assert kitchen.run() == ['first', 'second']
    assert kitchen.run() == []
    assert kitchen.path('second/b.txt').read_text() == 'hot soup'


@pytest.mark.parametrize('stage', ['first', 'second'])
def test_a_stage_that_was_stopped_is_run_again(kitchen, stage):
    kitchen.stop = stage
    with pytest.raises(KeyboardInterrupt):
        kitchen.run()
    kitchen.stop = ''
    assert kitchen.run() == {'first': ['first', 'second'], 'second': ['second']}[stage]
    assert kitchen.path('second/b.txt').read_text() == 'hot soup'


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_a_stop_names_the_stage_and_the_remedy(tmp_path, error):
    def stop():
        raise error

    stage = Stage('seeds', {}, (), stop, tmp_path / 'seeds/out')
    stream = io.StringIO()
    with pytest.raises(error):
        run_stages([stage], tmp_path, Console(file=stream))
    expected = 'stopped in stage 1/1 seeds; run the same command again to go on\n'
    assert stream.getvalue().endswith(expected)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_with_their_status(number):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as exit_, exit_on_sigterm():
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert exit_.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_a_known_error_of_a_command_is_enough(tmp_path):
    lines = 'print("noise"); print("error: no tags"); print("end\\n" * 40)'
    code = f'{lines}; raise SystemExit(2)'  # launchers print at length
    (tmp_path / 'log.txt').write_text('error: of an earlier command\n')
    with only_one(tmp_path) as lock, pytest.raises(RuntimeError) as caught:
        call([sys.executable, '-c', code], tmp_path / 'log.txt', lock)
    assert str(caught.value).endswith('ends with:\nerror: no tags')


def test_changed_settings_undo_what_depends_on_them(kitchen):
    kitchen.run()
    kitchen.path('first/old.pth').write_text('of other settings')
    kitchen.text = 'stew'
    stream = io.StringIO()
    assert kitchen.run(Console(file=stream)) == ['first', 'second']
    assert kitchen.path('second/b.txt').read_text() == 'hot stew'
    assert not kitchen.path('first/old.pth').exists()
    for number, name in ((1, 'first'), (2, 'second')):
        text = f'{number}/2 {name}: settings or inputs have changed: '
        assert f'{text}{kitchen.path(name)} is emptied\n' in stream.getvalue()


def test_a_folder_of_something_else_is_refused_before_the_first_stage(kitchen):
    path = kitchen.path('second/mine.png')
    path.parent.mkdir()
    path.write_text('not to be removed')
    with pytest.raises(
        FileExistsError, match=r'second has files .* such as mine\.png;'
    ):
        kitchen.run()
    assert kitchen.ran == []
    assert path.read_text() == 'not to be removed'
    path.unlink()
    assert kitchen.run() == ['first', 'second']


def test_emptying_a_folder_may_be_interrupted(kitchen, monkeypatch):
    kitchen.run()
    kitchen.text = 'stew'

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr('shutil.rmtree', interrupt)
        kitchen.run()
    assert kitchen.run() == ['first', 'second']
    assert kitchen.path('second/b.txt').read_text() == 'hot stew'


def test_a_damaged_output_is_noticed(kitchen):
    kitchen.run()
    kitchen.path('first/out/a.txt').write_text('so')
    assert kitchen.run() == ['first']  # the same again: the second one stays
    kitchen.path('second/b.txt').unlink()
    assert kitchen.run() == ['second']


def test_a_stage_must_leave_its_output(tmp_path):
    stage = Stage('idle', {}, (), lambda: None, tmp_path / 'idle/out')
    with pytest.raises(RuntimeError, match=r'stage idle wrote no .*out'):
        run_stages([stage], tmp_path, QUIET)


def test_rests_of_the_same_settings_are_kept(kitchen):
    kitchen.stop = 'first'
    with pytest.raises(KeyboardInterrupt):
        kitchen.run()
    kitchen.path('first/iter_2.pth').write_text('half way')
    kitchen.stop = ''
    kitchen.run()
    assert kitchen.path('first/iter_2.pth').exists()
    record = json.loads(kitchen.path('first/stage.json').read_text())
    assert set(record) == {'key', 'output', 'seconds'}


def test_digests_see_names_and_contents_but_nothing_hidden(tmp_path):
    assert digest(tmp_path / 'none') is None
    assert digest(tmp_path) is None
    (tmp_path / 'a').write_text('1')
    one = digest(tmp_path)
    (tmp_path / '.b.tmp').write_text('2')
    assert digest(tmp_path) == one
    (tmp_path / 'a').rename(tmp_path / 'c')
    assert digest(tmp_path) != one


@pytest.mark.integration  # starts processes
def test_a_folder_has_one_pipeline(tmp_path):
    code = (
        'from pathlib import Path; from mmseg_wsss.pipelines.stages import only_one\n'
        f'with only_one(Path({str(tmp_path)!r})): pass'
    )
    with only_one(tmp_path):
        result = subprocess.run(
            [sys.executable, '-c', code], capture_output=True, text=True, check=False
        )
    assert 'is in use by another pipeline' in result.stderr
    with only_one(tmp_path):
        pass


@pytest.mark.parametrize('number', [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys, number):
    def no_lock(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('fcntl.flock', no_lock)
    with only_one(tmp_path) as lock:
        assert lock.fileno()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'{tmp_path} is not locked, since its file system has no')


def test_a_failing_command_shows_how_it_ended(tmp_path):
    log = tmp_path / 'log.txt'
    with only_one(tmp_path) as lock:
        call([sys.executable, '-c', 'print("fine")'], log, lock)
        with pytest.raises(RuntimeError, match=r'with status 3; .*\nfine\nburnt'):
            call(
                [sys.executable, '-c', 'print("burnt"); raise SystemExit(3)'], log, lock
            )


@pytest.mark.integration  # starts processes
def test_a_command_ends_with_the_pipeline(tmp_path):
    log = tmp_path / 'log.txt'
    command = 'import os, time; print(os.getpid(), flush=True); time.sleep(600)'
    code = (
        'import signal, sys; from pathlib import Path\n'
        'from mmseg_wsss.pipelines.stages import call, only_one\n'
        'signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))\n'
        f'with only_one(Path({str(tmp_path)!r})) as lock:\n'
        f'    call([sys.executable, "-c", {command!r}], Path({str(log)!r}), lock)'
    )
    with subprocess.Popen([sys.executable, '-c', code]) as pipeline:
        while not (log.exists() and log.read_text().endswith('\n')):
            assert pipeline.poll() is None
            time.sleep(0.1)
        pipeline.terminate()
        assert pipeline.wait(60) == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text()), 0)
