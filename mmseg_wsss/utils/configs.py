"""Find the configs of the package, and walk through nested configs."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]


def config_path(name: str = '') -> str:
    """Return the absolute path of a config of this package, installed or cloned.

    A config anywhere on disk can inherit from a config of this package::

        _base_ = __import__('mmseg_wsss').config_path('asdt/NAME.py')

    MMEngine evaluates this line; an ``import`` statement would make it read the file as
    a config in the pure Python style.

    Args:
        name: Path below ``configs/``; the folder itself by default.

    Raises:
        FileNotFoundError: If there is no such config; the message names the folder.
    """
    folders = (PACKAGE / '.mim' / 'configs', PACKAGE.parent / 'configs')
    folder = next((path for path in folders if path.is_dir()), folders[-1]).resolve()
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f'no config {name!r} in {folder}')
    return str(path)


def model_config(cfg: Any) -> Any:
    """Return the model of a config with its data preprocessor, as the Runner builds it.

    Args:
        cfg: MMEngine ``Config``, which is not changed.
    """
    model = copy.deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return model


def require(cfg: Any, *keys: str) -> None:
    """Check that a config has settings that are neither missing nor None.

    Args:
        cfg: MMEngine ``Config``.
        keys: Names of the settings, parts joined by dots.

    Raises:
        ValueError: If one is missing; the message names the file and the setting.
    """
    for key in keys:
        node = cfg
        for part in key.split('.'):
            node = node.get(part)
            if node is None:
                raise ValueError(f'{cfg.filename}: expected {key}, found none')


def walk(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yield every part of a nested config, outer parts before inner ones.

    Args:
        node: Dictionaries, lists and tuples nested to any depth, with any leaves.
        path: Prefix of the paths.

    Yields:
        Path of the part, keys and indices joined by dots, and the part: ``node``
        itself, then its items. If the caller changes a dictionary before it requests
        the next part, the new items are walked.

    Example:
        >>> list(walk({'type': 'ReLU', 'args': [1]}))[1:]
        [('type', 'ReLU'), ('args', [1]), ('args.0', 1)]
    """
    yield path, node
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(node, Mapping):
        items = iter(list(node.items()))
    elif isinstance(node, list | tuple):
        items = iter(enumerate(node))
    for key, value in items:
        yield from walk(value, f'{path}.{key}' if path else str(key))


def walk_dicts(node: Any) -> Iterator[dict]:
    """Yield every dictionary of a nested config, outer ones before inner ones."""
    return (part for _, part in walk(node) if isinstance(part, dict))
