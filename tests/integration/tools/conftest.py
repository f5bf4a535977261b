"""Tools, loaded as modules."""

import sys
from pathlib import Path

import pytest
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
