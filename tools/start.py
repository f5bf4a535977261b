"""Import the package for a tool, without output; a signal ends the tool in one line.

The tools run this file before their other imports. It is not part of the package, since
importing any part of the package takes seconds.
"""

import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any


def _stop(number: int, _: Any) -> None:
    name = signal.Signals(number).name
    sys.__stderr__.write(f'stopped by {name} while the tool was starting\n')
    sys.__stderr__.flush()
    os._exit(128 + number)  # not an exception, which an import may catch


_handlers = {n: signal.signal(n, _stop) for n in (signal.SIGINT, signal.SIGTERM)}
try:
    with redirect_stdout(None), redirect_stderr(None):  # notes on optional packages
        import mmseg_wsss  # noqa: F401  (registers everything)
finally:
    for _number, _handler in _handlers.items():
        signal.signal(_number, _handler)
