"""Processor, versions and commit of a result."""

import platform

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


def test_the_commit_is_the_last_one_of_the_package(monkeypatch):
    done = provenance.subprocess.CompletedProcess([], 0, stdout='ab12\n')
    monkeypatch.setattr(provenance.subprocess, 'run', lambda *args, **options: done)
    assert provenance.versions()['commit'] == 'ab12'
