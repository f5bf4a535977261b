"""tools/misc/measure.py: the copy of the result."""

import os
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from tool_files import load_module

TOOL = Path(__file__).resolve().parents[3] / 'tools/misc/measure.py'


def test_the_copy_of_the_result_is_never_half_written(tmp_path, monkeypatch, capsys):
    tool = load_module(TOOL)
    monkeypatch.setattr(tool, 'measure', lambda *_: {'val': {}})
    out = tmp_path / 'new/result.json'
    monkeypatch.setattr(sys, 'argv', ['measure.py', 'a.py', '--out', str(out)])
    tool.main()
    assert out.read_text() == capsys.readouterr().out == '{\n "val": {}\n}\n'
    out.write_text('old')
    monkeypatch.setattr(os, 'replace', Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(SystemExit):
        tool.main()
    assert [path.read_text() for path in out.parent.iterdir()] == ['old']
