"""Trainings of a comparison, each a process of its own."""

import signal
import sys
from unittest.mock import Mock

import pytest

from mmseg_wsss.pipelines.compare_run import main


def test_a_run_that_was_removed_from_the_file_is_named(tmp_path, monkeypatch, capsys):
    file = tmp_path / 'toy.py'
    config = 'cam/cam_r18_1xb16-400_wsss-toy-voc-128.py'
    runs = {'A': {'config': config, 'sources': ('cam',)}}
    file.write_text(f"baseline = 'A'\nruns = {runs}\n")
    argv = ['compare_run.py', str(file), 'MKD, tags', '0', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(signal, 'signal', Mock())
    with pytest.raises(SystemExit):
        main()
    message = f"error: {file} no longer has the run 'MKD, tags'; compare again"
    assert message in capsys.readouterr().err
