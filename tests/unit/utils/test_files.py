import errno
import os
import stat

import pytest

from mmseg_wsss.utils.files import atomic_write, inside, read_utf8
from mmseg_wsss.utils.launch import error_message


def test_atomic_write_makes_folders_and_leaves_no_other_file(tmp_path):
    path = tmp_path / 'a' / 'b.txt'
    with atomic_write(path, 'w') as file:
        file.write('ä')
        assert not path.exists()
    assert path.read_bytes() == 'ä'.encode()
    assert os.listdir(path.parent) == ['b.txt']


def test_atomic_write_keeps_the_old_file_where_writing_fails(tmp_path):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    with pytest.raises(RuntimeError), atomic_write(path) as file:
        file.write(b'half of the ne')
        raise RuntimeError
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_atomic_write_names_the_file_of_a_full_disk(tmp_path):
    for path in (None, '/dev/full'):
        error = OSError(errno.ENOSPC, 'No space left on device', path)
        with pytest.raises(OSError) as caught, atomic_write(tmp_path / 'a') as file:
            file.write(b'x')
            raise error
        expected = path or tmp_path / 'a'
        assert error_message(caught.value) == f'{expected}: No space left on device'


def test_read_utf8(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes('ä'.encode('utf-8-sig'))
    assert read_utf8(path) == 'ä'
    path.write_bytes('ä'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'a\.txt: expected UTF-8 text: .*; save it'):
        read_utf8(path)


def test_atomic_write_follows_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        with atomic_write(tmp_path / 'a') as file:
            file.write(b'x')
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / 'a').stat().st_mode) == 0o644


@pytest.mark.parametrize('mode', ['a', 'r', 'x', 'w+'])
def test_atomic_write_refuses_other_modes(tmp_path, mode):
    with (
        pytest.raises(ValueError, match="'w' or 'wb'"),
        atomic_write(tmp_path / 'a', mode),
    ):
        pass


@pytest.mark.parametrize('path', ['x', 'a/x', 'a/../x', '.', './x', '..x', '...'])
def test_inside_accepts(tmp_path, path):
    found = inside(tmp_path, path)
    assert found == tmp_path or tmp_path in found.parents
    assert '..' not in found.parts


@pytest.mark.parametrize(
    'path', ['../x', '../../etc/x', 'a/../../x', '/etc/passwd', '..', 'a/b/../../..']
)
def test_inside_refuses(tmp_path, path):
    with pytest.raises(ValueError, match='leaves the folder'):
        inside(tmp_path, path)


def test_inside_is_not_fooled_by_a_common_prefix(tmp_path):
    with pytest.raises(ValueError, match='leaves'):
        inside(tmp_path / 'voc', tmp_path / 'voc-secret' / 'x')


def test_inside_with_absolute_path_and_relative_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside('data', tmp_path / 'data' / 'x') == tmp_path / 'data' / 'x'
    assert inside('../' + tmp_path.name, 'x') == tmp_path / 'x'


def test_links_below_the_root_are_inside(tmp_path):
    (tmp_path / 'root').mkdir()
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'root' / 'images').symlink_to(tmp_path / 'elsewhere')
    assert inside(tmp_path / 'root', 'images/x')
