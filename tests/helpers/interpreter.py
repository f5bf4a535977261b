"""Triton's interpreter, which runs kernels without a GPU."""

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType

import pytest


def interpreted(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """Import a module of kernels anew, so that they are interpreted in this test.

    Triton decides at the import of a kernel whether to interpret it, and at its own
    import for its reductions, which is too late if another test has imported them.
    """
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction

    monkeypatch.setenv('TRITON_INTERPRET', '1')
    for reduction in ('sum', 'min', 'max'):
        function = InterpretedFunction(getattr(tl, reduction).fn)
        monkeypatch.setattr(tl, reduction, function)
    spec = find_spec(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    package, _, attribute = name.rpartition('.')
    monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(
        importlib.import_module(package), attribute, module, raising=False
    )
    return module
