"""Triton's interpreter, which runs kernels without a GPU."""

import pytest


def interpret_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let kernels that are imported from now on be interpreted.

    Triton is told at its import whether to interpret, which is too late for its own
    reductions if another test has imported it.
    """
    import triton.language as tl
    from triton.runtime.interpreter import InterpretedFunction

    monkeypatch.setenv('TRITON_INTERPRET', '1')
    for name in ('sum', 'min', 'max'):
        function = InterpretedFunction(getattr(tl, name).fn)
        monkeypatch.setattr(tl, name, function)
