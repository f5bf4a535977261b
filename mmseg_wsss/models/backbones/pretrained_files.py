"""Local files of pretrained backbones, and the backbone of a file."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import PretrainedInit
from torch import Tensor


def pretrained_checkpoint(init_cfg: dict | list[dict] | None) -> dict[str, Any] | None:
    """Return the path and prefix of a local file in ``init_cfg``, else None."""
    if not isinstance(init_cfg, dict):
        return None
    if init_cfg.get('type') not in ('Pretrained', PretrainedInit):
        return None
    if '://' in init_cfg['checkpoint']:
        return None
    path = os.path.expanduser(init_cfg['checkpoint'])
    return {'path': path, 'prefix': init_cfg.get('prefix')}


def one_backbone(
    state: Mapping[str, Tensor],
    first_keys: Sequence[str],
    name: str,
    path: str | os.PathLike,
    prefix: str | None = None,
) -> dict[str, Tensor]:
    """Return the weights of one backbone, without the prefix of their keys.

    Args:
        state: Weights of a file.
        first_keys: Keys, one of which every backbone of this kind has.
        name: Name of the kind, for messages.
        path: The file, for messages.
        prefix: Prefix of the keys of the backbone, such as ``'backbone.'`` (the last
            dot may be left out); by default it is detected, if the file holds one
            backbone.

    Returns:
        All weights with the prefix.

    Raises:
        ValueError: If the file holds no such backbone, several, or none with the
            prefix.

    Example:
        >>> import torch
        >>> state = {'student.conv': torch.ones(1), 'student.norm': torch.ones(1)}
        >>> list(one_backbone(state, ['conv'], 'Net', 'net.pth'))
        ['conv', 'norm']
    """
    if prefix and not prefix.endswith('.'):
        prefix += '.'
    found = [
        key.removesuffix(first)
        for key in state
        for first in first_keys
        if key.endswith(first)
    ]
    if prefix is None and len(found) == 1:
        prefix = found[0]
    if prefix is None or prefix not in found:
        expected = 'one' if prefix is None else f'the prefix {prefix!r} of a'
        raise ValueError(
            f'{path}: expected {expected} {name} (a key that ends with '
            f'{" or ".join(map(repr, first_keys))}), found {found or "none"}'
            + ('; choose by `prefix`' if len(found) > 1 else '')
        )
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
