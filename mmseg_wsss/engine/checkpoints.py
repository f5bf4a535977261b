"""Load checkpoints with torch's restricted unpickler."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint as mmengine_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader, load_from_local
from mmengine.utils import digit_version

# First version of torch that accepts additional safe globals by name.
FIRST_TORCH = '2.6'
YES = ('1', 'y', 'yes', 'true')


def statistic(owner: type, name: str) -> Callable:
    """Return a method of ``HistoryBuffer``, as a restricted replacement of ``getattr``.

    A ``HistoryBuffer`` is pickled together with its statistics methods, each as
    ``getattr(HistoryBuffer, name)``.

    Raises:
        UnpicklingError: If ``owner`` is another class, or ``name`` is private.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


NUMPY_CORE = np._core if hasattr(np, '_core') else np.core
# NumPy 2 renamed ``core`` to ``_core``; files have the name that their writer used.
NUMPY_NAMES = [
    (function, f'numpy.{core}.multiarray.{function.__name__}')
    for function in (NUMPY_CORE.multiarray._reconstruct, NUMPY_CORE.multiarray.scalar)
    for core in ('core', '_core')
]
# What MMEngine saves in a checkpoint and torch does not allow by default.
SAFE_GLOBALS = [
    HistoryBuffer,
    (statistic, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    *NUMPY_NAMES,
    *{type(np.dtype(code)) for code in '?bBhHiIlLqQefd'},
]


@contextmanager
def safe_checkpoints() -> Iterator[None]:
    """Make MMEngine load checkpoints with torch's restricted unpickler.

    This holds for local files, see :func:`load_from_local_safely`, and for downloads
    (``https://``, ``torchvision://``, ``openmmlab://``), but not for those of a storage
    service (``s3://``, ``pavi://``), which MMEngine loads itself.

    The tools and pipelines of this package run inside this context manager, which also
    works as a decorator. It suppresses MMEngine's log line about the loader, and
    restores MMEngine's own loader on exit. The loader of the OneDL fork falls back to
    unrestricted unpickling if restricted unpickling fails; the original loader, with
    torch 2.6 or newer, rejects even the checkpoints that MMEngine itself wrote.

    Example:
        >>> from mmengine.runner import load_checkpoint
        >>> with safe_checkpoints():
        ...     load_checkpoint(model, 'iter_20000.pth')  # doctest: +SKIP
    """
    # MMEngine has no public access to its table of loaders.
    schemes = CheckpointLoader._schemes.copy()
    method, load = vars(CheckpointLoader)['load_checkpoint'], _load_silently()
    load_url = mmengine_checkpoint.load_url
    CheckpointLoader.register_scheme('', load_from_local_safely, force=True)
    CheckpointLoader.load_checkpoint = staticmethod(load)
    if _is_restricted():
        mmengine_checkpoint.load_url = _load_url_safely  # all downloads go through it
    try:
        yield
    finally:
        mmengine_checkpoint.load_url = load_url
        CheckpointLoader._schemes = schemes
        CheckpointLoader.load_checkpoint = method


def _load_silently() -> Callable:
    """Return MMEngine's ``load_checkpoint`` without its log line about the loader."""
    load = CheckpointLoader.load_checkpoint

    def load_checkpoint(
        filename: str, map_location: Any = None, logger: Any = None
    ) -> Any:
        return load(filename, map_location, 'silent')

    return load_checkpoint


def read_checkpoint(path: str | os.PathLike) -> Any:
    """Load a checkpoint onto the CPU with :func:`load_from_local_safely`."""
    with safe_checkpoints():
        return CheckpointLoader.load_checkpoint(str(path), 'cpu')


def load_from_local_safely(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint with torch's restricted unpickler.

    MMEngine's own loader is used with a torch older than 2.6, and if the environment
    variable ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD`` is ``1``, ``y``, ``yes`` or ``true``.

    Args:
        filename: Path of the checkpoint; ``~`` is the home folder.
        map_location: As in ``torch.load``.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: If the file does not exist.
        OSError: If the file cannot be read.
        ValueError: If the file cannot be loaded, or refers to classes or functions that
            could run code; the message gives the file and the remedy.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} can not be found.')
    if not _is_restricted():
        return load_from_local(filename, map_location)
    with _restricted(path):
        return torch.load(path, map_location=map_location, weights_only=True)


def _load_url_safely(url: str, **kwargs: Any) -> Any:
    """Download a checkpoint, unless torch's cache has it, and load it restricted."""
    with _restricted(url):
        return torch.hub.load_state_dict_from_url(url, weights_only=True, **kwargs)


def _is_restricted() -> bool:
    trusted = os.environ.get('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '').lower() in YES
    return not trusted and digit_version(torch.__version__) >= digit_version(
        FIRST_TORCH
    )


@contextmanager
def _restricted(name: str) -> Iterator[None]:
    """Allow what MMEngine saves, and name the checkpoint in errors."""
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            yield
    except torch.cuda.OutOfMemoryError:
        raise
    except UnpicklingError as error:
        raise ValueError(
            f'{name}: not a checkpoint, a damaged one, or one that could run code when '
            f'it is loaded ({_first_line(error)}); if you trust its author, set '
            'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1'
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        # In a truncated file, torch seeks to a negative position: EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            error.filename = error.filename or name
            raise
        raise ValueError(
            f'{name}: cannot be loaded as a checkpoint ({_first_line(error)}); if the '
            'file is damaged, copy or download it again'
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
