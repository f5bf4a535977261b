"""Import the package for a tool; a signal ends the tool in one line.

Only this package's own warnings are shown, such as that of an untested version. The
tools run this file before their other imports. It is not part of the package, since
importing any part of the package takes seconds.
"""

import os
import signal
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import Any


def _stop(number: int, _: Any) -> None:
    name = signal.Signals(number).name
    sys.__stderr__.write(f'stopped by {name} while the tool was starting\n')
    sys.__stderr__.flush()
    os._exit(128 + number)  # not an exception, which an import may catch


def _keep(message: Warning | str, *_: Any, **__: Any) -> None:
    _warnings.append(str(message))


_handlers = {n: signal.signal(n, _stop) for n in (signal.SIGINT, signal.SIGTERM)}
_warnings: list[str] = []
_show, warnings.showwarning = warnings.showwarning, _keep
try:
    with redirect_stdout(None), redirect_stderr(None):  # notes on optional packages
        import mmseg_wsss  # noqa: F401  (registers everything)
finally:
    warnings.showwarning = _show
    for _number, _handler in _handlers.items():
        signal.signal(_number, _handler)
for _text in _warnings:
    if _text.startswith('mmseg_wsss '):
        print(f'warning: {_text}', file=sys.stderr)
