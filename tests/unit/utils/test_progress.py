import gc
import io
import time

import pytest

from mmseg_wsss.utils import progress
from mmseg_wsss.utils.progress import (
    ProgressBar,
    counts_of_log,
    progress_of_log,
    track,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    return now


def test_a_file_gets_plain_lines_at_intervals(clock):
    stream = io.StringIO()
    with ProgressBar('training', 4, stream=stream) as bar:
        for seconds in (4, 4, 4, 1):
            clock[0] += seconds
            bar.advance('loss 0.5')
    assert stream.getvalue().splitlines() == [
        'training: 0/4, 0 s',
        'training: 3/4, 12 s, loss 0.5',
        'training: 4/4, 13 s, loss 0.5',
    ]


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv('TERM', 'xterm')
    stream = Terminal()
    assert list(track([5, 6], 2, 'reading', stream)) == [5, 6]
    assert 'reading' in stream.getvalue()
    assert '2/2' in stream.getvalue()
    assert '\x1b[' in stream.getvalue()


def test_a_bar_without_an_end_shows_the_cursor_again(monkeypatch):
    """As after an error between the calls of ProgressBarHook."""
    monkeypatch.setenv('TERM', 'xterm')
    stream = Terminal()
    bar = ProgressBar('training', 2, stream=stream).__enter__()
    bar.advance()
    assert '\x1b[?25h' not in stream.getvalue()
    del bar
    gc.collect()
    assert '\x1b[?25h' in stream.getvalue()


def test_nothing_is_written_when_disabled():
    stream = io.StringIO()
    with ProgressBar('x', 1, stream=stream, disable=True) as bar:
        bar.advance()
    assert stream.getvalue() == ''


def test_work_of_an_unknown_size():
    stream = io.StringIO()
    with ProgressBar('2/9 seeds', None, stream=stream):
        pass
    assert stream.getvalue() == '2/9 seeds: 0 s\n'


@pytest.mark.parametrize(
    ('line', 'counts'),
    [
        ('11/26 13:20 - INFO - Iter(train) [ 50/600]  lr: 1e-3', (50, 600)),
        ('11/26 13:20 - INFO - Iter(test) [100/100]    mIoU: 3', (100, 100)),
        ('Exporting cam: 6/20, 3 s', (6, 20)),
        ('affinity labels: 6/20, 3 s, loss 1/2', (6, 20)),
        ('2026/11/26 13:20 at 1/2 of the size', None),
        ('', None),
    ],
)
def test_counts_of_the_lines_of_a_log(tmp_path, line, counts):
    log = tmp_path / 'log.txt'
    assert counts_of_log(log) is None
    log.write_text(f'{line}\nno count\n')
    assert counts_of_log(log) == counts
    assert counts_of_log(log, log.stat().st_size) is None


def test_the_progress_of_a_command_is_read_from_its_log(tmp_path):
    log, stream = tmp_path / 'log.txt', io.StringIO()
    log.write_text('of an earlier run: 9/9, 3 s\n')
    with progress_of_log('1/9 seeds', log, stream), log.open('a') as file:
        print('Exporting cam: 6/20, 3 s', file=file, flush=True)
        time.sleep(1.5)
    lines = stream.getvalue().splitlines()
    assert lines[0] == '1/9 seeds: 0 s'
    assert lines[-1].startswith('1/9 seeds: 6/20, ')
