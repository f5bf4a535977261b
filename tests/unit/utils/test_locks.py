"""One process at a time, also where the file system has no locks."""

import errno
import os
import threading

import pytest

from mmseg_wsss.utils.cpus import available_cpus
from mmseg_wsss.utils.locks import file_lock


def test_a_message_or_a_wait(tmp_path, capsys):
    path, done = tmp_path / 'runs/.lock', []

    def wait() -> None:
        with file_lock(path):
            done.append('second')

    with file_lock(path):
        late = 'come back later'
        with pytest.raises(BlockingIOError, match=late), file_lock(path, late):
            pass
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.2)
        done.append('first')
    thread.join(10)
    assert done == ['first', 'second']
    line = f'waiting for another process in {path.parent}\n'
    assert capsys.readouterr().err == line


@pytest.mark.parametrize('busy', [None, 'come back later'])
def test_a_file_system_without_locks(tmp_path, monkeypatch, capsys, busy):
    def no_lock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr('fcntl.flock', no_lock)
    with file_lock(tmp_path / '.lock', busy) as lock:
        assert lock.fileno()
    assert capsys.readouterr().err.startswith(f'{tmp_path} is not locked, since its')


def test_cpus_of_macos(monkeypatch):
    if hasattr(os, 'sched_getaffinity'):
        assert available_cpus() == len(os.sched_getaffinity(0))
        monkeypatch.delattr(os, 'sched_getaffinity')
    assert available_cpus() == os.cpu_count()
