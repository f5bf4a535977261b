"""Files of tensors, read without unpickling, and their comparison with a module."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def read_state_dict(
    path: str | os.PathLike, expected: str = 'a PyTorch file of tensors'
) -> dict[str, Tensor]:
    """Read the tensors of a PyTorch file, without unpickling other objects.

    Args:
        path: File with a state dict, or with one under the key ``state_dict``.
        expected: Description of the expected file, for the error message.

    Returns:
        Tensors by key.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a file of tensors.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file, expected {expected}')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        KeyError,
        ValueError,
    ) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else repr(exc)
        raise ValueError(f'{path}: expected {expected}, found none: {reason}') from exc
    if isinstance(content, Mapping):
        content = content.get('state_dict', content)
    if not isinstance(content, Mapping):
        raise ValueError(
            f'{path}: expected a state dict, found {type(content).__name__}'
        )
    return {key: value for key, value in content.items() if isinstance(value, Tensor)}


def check_state(
    state: Mapping[str, Tensor], module: nn.Module, path: str | os.PathLike
) -> list[str]:
    """Check that weights fit a module.

    ``num_batches_tracked`` is not required, since files of PyTorch 0.4 lack it.

    Args:
        state: Weights.
        module: Module.
        path: File of the weights, for the error message.

    Returns:
        Keys that the module does not have.

    Raises:
        ValueError: If a key is missing or has another shape.
    """
    own = {
        key: value
        for key, value in module.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    bad = [f'{key} (missing)' for key in own if key not in state]
    bad += [
        f'{key} (expected {tuple(value.shape)}, found {tuple(state[key].shape)})'
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    if bad:
        more = f' and {len(bad) - 3} more' if len(bad) > 3 else ''
        raise ValueError(
            f'{path}: does not fit {type(module).__name__}: {", ".join(bad[:3])}{more}'
        )
    return [key for key in state if key not in module.state_dict()]
