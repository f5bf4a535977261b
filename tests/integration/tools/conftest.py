"""Tools, loaded as modules."""

import sys
from pathlib import Path

import pytest
from export_job import ExportDummy, write_job
from tool_files import load_module

TOOLS = Path(__file__).resolve().parents[3] / 'tools'


@pytest.fixture
def tool(monkeypatch):
    """Return a loader of tools as modules, which worker processes can import."""

    def load(name):
        module = load_module(TOOLS / f'{name}.py')
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return module

    return load


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Config, checkpoint and output folder of an export of six small images."""
    monkeypatch.setattr(ExportDummy, 'calls', [])
    return write_job(tmp_path)
