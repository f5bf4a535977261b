"""Processor, versions and commit of a result."""

import platform
import subprocess

import pytest

from mmseg_wsss.pipelines import provenance
from mmseg_wsss.pipelines.measure import machine


def test_a_machine_is_named_by_its_processor(tmp_path, monkeypatch):
    info = tmp_path / 'cpuinfo'
    info.write_text('processor : 0\nmodel name\t: Some  CPU @ 2\nflags : model name\n')
    monkeypatch.setattr(provenance, 'CPU_INFO', info)
    assert machine().startswith('Some CPU @ 2, ')
    monkeypatch.setattr(provenance, 'CPU_INFO', tmp_path / 'none')
    fallback = platform.processor() or platform.machine()
    assert provenance.processor() == fallback


@pytest.mark.parametrize('found', ['', None])
def test_a_package_outside_of_a_clone_has_no_commit(tmp_path, monkeypatch, found):
    assert {'python', 'torch'} <= provenance.versions().keys()
    folder = tmp_path / 'mmseg_wsss/pipelines'
    folder.mkdir(parents=True)
    monkeypatch.setattr(provenance, '__file__', str(folder / 'provenance.py'))
    if found is None:
        monkeypatch.setenv('PATH', '')
    assert 'commit' not in provenance.versions()


def test_the_commit_is_the_last_one_of_the_package(tmp_path, monkeypatch):
    """Changes that are not committed are marked."""
    package = tmp_path / 'mmseg_wsss'
    (package / 'pipelines').mkdir(parents=True)
    monkeypatch.setattr(provenance, '__file__', str(package / 'pipelines/a.py'))

    def git(*words):
        user = ['-c', 'user.name=a', '-c', 'user.email=a']
        command = ['git', '-C', tmp_path, *user, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    git('init')
    for path in (package / 'a.py', tmp_path / 'other.py'):
        path.touch()
        git('add', '.')
        git('commit', '-m', 'a')
    commit = git('rev-parse', 'HEAD~').stdout.strip()
    (tmp_path / 'other.py').write_text('1')
    (package / 'untracked.py').touch()
    assert provenance.versions()['commit'] == commit
    (package / 'a.py').write_text('1')
    assert provenance.versions()['commit'] == f'{commit}-dirty'
