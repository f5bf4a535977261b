"""Archives: all or nothing, and nothing outside the folder."""

import io
import os
import tarfile
import zipfile

import pytest

from mmseg_wsss.utils.archives import unpack, unpacked


def make_tar(path, *members, mode='w:gz'):
    """Members are (name, content) or (name, type, link target)."""
    with tarfile.open(path, mode) as archive:
        for name, *rest in members:
            member = tarfile.TarInfo(name)
            if len(rest) == 2:
                member.type, member.linkname = rest
                archive.addfile(member)
            else:
                member.size = len(rest[0])
                archive.addfile(member, io.BytesIO(rest[0]))
    return path


def make_zip(path, *members):
    with zipfile.ZipFile(path, 'w') as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*'))


@pytest.mark.parametrize('name', ['data.tgz', 'data.tar.gz', 'data.tar', 'data.zip'])
def test_unpacked_beside_the_archive_and_only_once(tmp_path, name):
    members = [('x/a.txt', b'1'), ('x/y/b.txt', b'2')]
    if name.endswith('.zip'):
        make_zip(tmp_path / name, *members)
    else:
        make_tar(tmp_path / name, *members, mode='w' if name[-1] == 'r' else 'w:gz')
    folder = unpacked(tmp_path / name)
    assert folder == tmp_path / 'data'
    assert files_below(folder) == ['x', 'x/a.txt', 'x/y', 'x/y/b.txt']
    assert (folder / 'x/y/b.txt').read_bytes() == b'2'
    (folder / 'x/a.txt').write_bytes(b'mine')
    assert unpacked(tmp_path / name) == folder
    assert (folder / 'x/a.txt').read_bytes() == b'mine'
    assert sorted(os.listdir(tmp_path)) == ['data', name]


def test_a_tar_file_that_ends_with_a_zip_file(tmp_path):
    inner = make_zip(tmp_path / 'inner.zip', ('x.txt', b'1')).read_bytes()
    make_tar(tmp_path / 'a.tar', ('b.txt', b'2'), ('inner.zip', inner), mode='w')
    content = (tmp_path / 'a.tar').read_bytes().rstrip(b'\0')
    (tmp_path / 'a.tar').write_bytes(content + bytes(1024))
    assert zipfile.is_zipfile(tmp_path / 'a.tar')
    assert files_below(unpacked(tmp_path / 'a.tar')) == ['b.txt', 'inner.zip']


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert unpacked(tmp_path) == tmp_path
    with pytest.raises(FileNotFoundError, match='nowhere'):
        unpacked(tmp_path / 'nowhere.zip')
    (tmp_path / 'a.rar').write_bytes(b'')
    with pytest.raises(ValueError, match='expected a folder or one of'):
        unpacked(tmp_path / 'a.rar')


@pytest.mark.parametrize(
    'member',
    [
        ('../evil', b'x'),
        ('a/../../evil', b'x'),
        ('{outside}/evil', b'x'),
        ('link', tarfile.SYMTYPE, '..'),
        ('link', tarfile.SYMTYPE, 'good'),
        ('link', tarfile.LNKTYPE, '../secret'),
        ('device', tarfile.CHRTYPE, ''),
        ('pipe', tarfile.FIFOTYPE, ''),
    ],
)
def test_hostile_tar(tmp_path, member):
    home = tmp_path / 'home' / 'deep'
    home.mkdir(parents=True)
    (home / 'secret').write_bytes(b'secret')
    member = (member[0].format(outside=tmp_path), *member[1:])
    make_tar(home / 'data.tgz', ('good', b'x'), member, ('link/evil', b'x'))
    with pytest.raises(ValueError, match=r'data\.tgz: .*(leaves|neither a file nor)'):
        unpacked(home / 'data.tgz')
    assert files_below(tmp_path) == [
        'home',
        'home/deep',
        'home/deep/data.tgz',
        'home/deep/secret',
    ]


@pytest.mark.parametrize(
    'name', ['../evil', 'a/../../evil', '/evil', '..\\evil', '{outside}/evil']
)
def test_hostile_zip(tmp_path, name):
    home = tmp_path / 'home'
    home.mkdir()
    member = (name.format(outside=tmp_path), b'x')
    make_zip(home / 'data.zip', ('good', b'x'), member)
    with pytest.raises(ValueError, match=r'data\.zip: .*leaves the folder'):
        unpacked(home / 'data.zip')
    assert files_below(tmp_path) == ['home', 'home/data.zip']


@pytest.mark.parametrize('name', ['data.tgz', 'data.zip'])
@pytest.mark.parametrize('damage', ['cut', 'text', 'bits'])
def test_broken_archive_leaves_nothing(tmp_path, name, damage):
    path = tmp_path / name
    noise = os.urandom(50000)
    make_zip(path, ('a', noise)) if name[-1] == 'p' else make_tar(path, ('a', noise))
    content = bytearray(path.read_bytes())
    if damage == 'cut':
        content = content[:20000]
    elif damage == 'text':
        content = bytearray(b'no archive')
    else:
        content[20000:20100] = bytes(100)
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=name):
        unpacked(path)
    assert os.listdir(tmp_path) == [name]


def test_nothing_is_unpacked_over_a_folder(tmp_path):
    make_zip(tmp_path / 'a.zip', ('x', b'1'))
    (tmp_path / 'a').mkdir()
    with pytest.raises(FileExistsError, match='already exists'):
        unpack(tmp_path / 'a.zip', tmp_path / 'a')
