"""Join and leave a process group; parse options and report errors of tools."""

import argparse
import gc
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import init_dist, is_distributed

from .configs import PACKAGE

DAY = 24 * 60 * 60  # in seconds


def init_processes(launcher: str, timeout: int | None = None) -> None:
    """Join the process group of a launcher.

    MMEngine's ``init_dist`` needs a GPU. Without one, this function starts a gloo
    group, which MMEngine's Runner then uses.

    Args:
        launcher: ``'none'`` (one process, no group), ``'pytorch'`` (torchrun),
            ``'slurm'`` or ``'mpi'``.
        timeout: Seconds that a process waits for the others; by default PyTorch's, 10
            minutes with NCCL and 30 minutes with gloo.

    Raises:
        ValueError: If there is no GPU and the launcher is not torchrun.
    """
    if launcher == 'none' or is_distributed():
        return
    if torch.cuda.is_available():
        options: dict[str, Any] = {} if timeout is None else {'timeout': timeout}
        init_dist(launcher, **options)
    elif launcher == 'pytorch':
        options = {} if timeout is None else {'timeout': timedelta(seconds=timeout)}
        torch.distributed.init_process_group('gloo', **options)
    else:
        raise ValueError(
            f"expected the launcher 'none' or 'pytorch' without a GPU, got {launcher!r}"
        )


def leave_processes() -> None:
    """Leave the process group, if there is one, and end its threads.

    Tools call this last, once no variable refers to the runner anymore. Threads that
    still run when Python exits may abort the process, and the launcher then reports a
    finished run as failed. A Runner is part of reference cycles and its wrapped model
    refers to the group, so both are garbage-collected here to end the threads.
    """
    if is_distributed():
        torch.distributed.destroy_process_group()
        gc.collect()


class ToolParser(argparse.ArgumentParser):
    """Argument parser of a tool, with the option ``--debug``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_argument(
            '--debug', action='store_true', help='show the traceback of an error'
        )


# Message of the TypeError if a class does not accept the arguments in the config.
WRONG_ARGUMENTS = re.compile(
    r'__init__\(\) (got an unexpected keyword|missing \d+ req)'
)
# Also raised by defects, so known only if a statement of this package raises them.
OWN_ERRORS = (TypeError, RuntimeError, FloatingPointError)
IN_WORKER = re.compile(r'^  File "(.+)", line \d+, in .*\n +(.*)', re.M)


@contextmanager
def one_line_errors(*others: type[Exception]) -> Iterator[None]:
    """Exit with one line and status 2 in place of a traceback for known errors.

    Also works as a decorator. Known errors are ``OSError``, ``ImportError``,
    ``ValueError``, a ``KeyError`` that is raised with a sentence, a ``TypeError`` about
    the arguments of a class, a ``SyntaxError`` in a config, and any ``TypeError``,
    ``RuntimeError`` or ``FloatingPointError`` from a ``raise`` statement of this
    package. All other errors are defects and keep their traceback, as every error does
    with ``--debug``. Ctrl-C exits with status 130.

    Args:
        *others: Further known exceptions.
    """
    try:
        yield
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        if not (isinstance(error, others) or _is_known(error)):
            raise
        if '--debug' in sys.argv:
            raise
        print(f'error: {error_message(error)}', file=sys.stderr)
        raise SystemExit(2) from error


def _is_known(error: Exception) -> bool:
    if isinstance(error, KeyError):  # not a missing key with a space, as of a dict
        return ' ' in error_message(error) and _raise_of(error) is not None
    if isinstance(error, SyntaxError):
        return bool(_config_of(error))
    if isinstance(error, OWN_ERRORS) and not isinstance(error, NotImplementedError):
        return bool(WRONG_ARGUMENTS.search(str(error))) or _is_own(error)
    return isinstance(error, OSError | ImportError | ValueError)


def _is_own(error: Exception) -> bool:
    """Return whether a ``raise`` statement of this package raised an error."""
    path = _raise_of(error)
    return path is not None and path.resolve().is_relative_to(PACKAGE)


def _raise_of(error: Exception) -> Path | None:
    """Return the file with the ``raise`` statement of an error; None without one.

    The message of an error in a data loader's worker contains its traceback.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = [(frame.filename, frame.line or '') for frame in frames]
    path, line = [*lines, *IN_WORKER.findall(str(error))][-1]
    return Path(path) if line.startswith('raise ') else None


def _config_of(error: SyntaxError) -> str:
    """Return the config or base config that has an error; '' for other files."""
    paths = [
        frame.f_locals.get('filename', '')
        for frame, _ in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get('__name__') == 'mmengine.config.config'
    ]
    return paths[-1] if paths else ''


def error_message(error: Exception) -> str:
    """Return the message of an error, without the traceback of a data loader worker."""
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
    elif isinstance(error, OSError) and error.filename and error.strerror:
        text = f'{error.filename}: {error.strerror}'
    elif isinstance(error, SyntaxError):
        text = f'{_config_of(error)}, line {error.lineno}: {error.msg}'
    else:
        text = str(error)
    if 'Original Traceback' in text:  # from a worker process of a data loader
        text = re.split(r'^[A-Za-z_.]+: ', text, flags=re.M)[-1]
    return text.strip() or type(error).__name__
