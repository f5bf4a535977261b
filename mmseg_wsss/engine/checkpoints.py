"""Loading checkpoints without running what their author put in."""

import os
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader, load_from_local
from mmengine.utils import digit_version

# The first torch that takes a list of further safe names.
FIRST_TORCH = '2.6'
YES = ('1', 'y', 'yes', 'true')


def statistic(owner: type, name: str) -> Callable:
    """Stand-in for ``getattr`` in checkpoints: a statistic of ``HistoryBuffer``.

    MMEngine pickles the methods that its log processor calls by name.
    """
    if owner is not HistoryBuffer or name.startswith('_'):
        raise UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed')
    return getattr(owner, name)


NUMPY_CORE = np._core if hasattr(np, '_core') else np.core
# NumPy 2 renamed the module, and files of either go by its name in theirs.
NUMPY_NAMES = [
    (function, f'numpy.{core}.multiarray.{function.__name__}')
    for function in (NUMPY_CORE.multiarray._reconstruct, NUMPY_CORE.multiarray.scalar)
    for core in ('core', '_core')
]
# What MMEngine puts into a checkpoint besides what torch reads by default.
SAFE_GLOBALS = [
    HistoryBuffer,
    (statistic, 'builtins.getattr'),
    np.ndarray,
    np.dtype,
    *NUMPY_NAMES,
    *{type(np.dtype(code)) for code in '?bBhHiIlLqQefd'},
]


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local_safely(filename: str, map_location: Any = None) -> Any:
    """Load a local checkpoint by torch's restricted unpickler.

    It takes the place of MMEngine's loader of local files, which unpickles a file
    freely where the restricted way fails (and, in the original MMEngine, fails on the
    checkpoints that it wrote itself where torch is 2.6 or newer). With an older torch
    MMEngine's own loader is used.

    Args:
        filename: Path of the checkpoint; ``~`` is the home folder.
        map_location: As in ``torch.load``.

    Returns:
        The checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is broken, or names classes or functions that could run
            code; the message names the file and the remedy.
    """
    path = os.path.expanduser(filename)
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{path} can not be found.')
    trusted = os.environ.get('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '').lower() in YES
    if trusted or digit_version(torch.__version__) < digit_version(FIRST_TORCH):
        return load_from_local(filename, map_location)
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(path, map_location=map_location, weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ValueError(
            f'{path}: no checkpoint, a broken one, or one that could run code when it '
            f'is loaded ({_first_line(error)}); if you trust its author, set '
            'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1'
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
