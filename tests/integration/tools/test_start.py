"""Tools start quietly, and a signal while they do ends them with one line."""

import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
from tool_files import load_module

TOOLS = Path(__file__).resolve().parents[3] / 'tools'
NO_SCRIPTS = ('start.py',)
ALL = sorted(p for p in TOOLS.rglob('*.py') if p.name not in NO_SCRIPTS)
# A package in place of ours, which waits in its import for a signal.
WAITING = """
import time
print('noise of an optional import')
try:
    print('ready', file=__import__('sys').__stdout__, flush=True)
    for _ in range(600):  # a signal just before a sleep does not end it
        time.sleep(0.1)
except BaseException:  # as optional imports do
    pass
"""


@pytest.mark.parametrize('path', ALL, ids=lambda path: path.stem)
def test_every_tool_starts_by_the_quiet_import(path):
    text = path.read_text('utf-8')
    first = text.index('runpy.run_path(str(')
    for name in ('mmseg_wsss', 'mmseg', 'mmengine', 'torch', 'mmcv'):
        for statement in (f'\nimport {name}', f'\nfrom {name}'):
            assert 0 <= first < text.find(statement) % (len(text) + 1)
    assert "'start.py'" in text[first:].splitlines()[0]


@pytest.mark.parametrize('path', ALL, ids=lambda path: path.stem)
def test_every_tool_ends_with_one_line(path):
    assert re.search(
        r'^@one_line_errors\(.*\n(@.*\n)*def main\(', path.read_text(), re.M
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_during_the_import(number, tmp_path):
    (tmp_path / 'mmseg_wsss').mkdir()
    (tmp_path / 'mmseg_wsss/__init__.py').write_text(WAITING)
    with subprocess.Popen(
        [sys.executable, TOOLS / 'predict.py', '--help'],
        env={**os.environ, 'PYTHONPATH': str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        watch = threading.Timer(60, process.kill)
        watch.start()
        assert process.stdout.readline() == 'ready\n'
        process.send_signal(number)
        out, errors = process.communicate()
        watch.cancel()
    assert out == ''
    name = signal.Signals(number).name
    assert errors == f'stopped by {name} while the tool was starting\n'
    assert process.returncode == 128 + number


def test_help_prints_nothing_else():
    """Neither the reports of optional packages nor warnings."""
    done = subprocess.run(
        [sys.executable, TOOLS / 'predict.py', '--help'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ''
    assert done.stdout.startswith('usage: predict.py')
    for noise in ('OneDL', 'Warning', 'Could not import', 'paramwise_options'):
        assert noise not in done.stdout


def test_a_warning_of_the_package_is_shown(tmp_path, monkeypatch, capsys):
    """Not those of other packages."""
    (tmp_path / 'mmseg_wsss.py').write_text(
        "import warnings\nwarnings.warn('other')\n"
        "warnings.warn('mmseg_wsss was not tested with torch 9')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'mmseg_wsss', raising=False)
    show = warnings.showwarning
    with warnings.catch_warnings():
        warnings.simplefilter('default')
        warnings.showwarning = show
        load_module(TOOLS / 'start.py')
        assert warnings.showwarning is show
    expected = 'warning: mmseg_wsss was not tested with torch 9\n'
    assert capsys.readouterr() == ('', expected)


def test_handlers_are_back_after_the_import():
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    load_module(TOOLS / 'start.py')
    assert before == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
