"""Readers of published weights of ``WideResNet38``, without MXNet or unpickling."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ..utils import check_state, read_state_dict
from .mxnet_params import LIST_MAGIC, read_mxnet_params
from .pretrained_files import one_backbone

FIRST_KEY = 'conv1a.weight'
CLASSIFIER_KEY = 'fc8.weight'

MXNET_LEAVES = {
    'weight': 'weight',
    'gamma': 'weight',
    'beta': 'bias',
    'moving_mean': 'running_mean',
    'moving_var': 'running_var',
}
_LEAF = '_(?P<leaf>' + '|'.join(MXNET_LEAVES) + ')'
# res2a is the first block of stage 2; res2b1, res2b2 (or res2b, res2c) are the others.
_BLOCK = re.compile(
    r'(?P<kind>res|bn)(?P<stage>\d)(?P<letter>[a-z])(?P<number>\d*)'
    r'_branch(?P<branch>\w+?)' + _LEAF
)
_SINGLE = re.compile(r'(?P<module>conv1a|bn7)' + _LEAF)


def mxnet_key(name: str) -> str | None:
    """Translate a name of the MXNet file into a key of ``WideResNet38``.

    Args:
        name: Name as stored, e.g. ``'arg:res2b1_branch2a_weight'``.

    Returns:
        The key, e.g. ``'b2_1.conv_branch2a.weight'``; None for names that the backbone
        lacks, such as the ImageNet classifier.

    Example:
        >>> mxnet_key('aux:bn2b1_branch2a_moving_mean')
        'b2_1.bn_branch2a.running_mean'
    """
    name = name.removeprefix('arg:').removeprefix('aux:')
    if match := _SINGLE.fullmatch(name):
        return f'{match["module"]}.{MXNET_LEAVES[match["leaf"]]}'
    if not (match := _BLOCK.fullmatch(name)):
        return None
    number = int(match['number'] or ord(match['letter']) - ord('a'))
    block = f'b{match["stage"]}' + (f'_{number}' if number else '')
    kind = 'conv' if match['kind'] == 'res' else 'bn'
    return f'{block}.{kind}_branch{match["branch"]}.{MXNET_LEAVES[match["leaf"]]}'


def _is_mxnet(path: str | os.PathLike) -> bool:
    with open(path, 'rb') as file:
        return file.read(8) == LIST_MAGIC.to_bytes(8, 'little')


def _read_mxnet(path: str | os.PathLike) -> dict[str, Tensor]:
    arrays = {mxnet_key(name): array for name, array in read_mxnet_params(path).items()}
    return {
        key: torch.from_numpy(array).float()
        for key, array in arrays.items()
        if key is not None
    }


def read_weights(
    path: str | os.PathLike, prefix: str | None = None
) -> dict[str, Tensor]:
    """Read weights of ``WideResNet38`` from a PyTorch or MXNet file.

    Args:
        path: PyTorch file (``res38_cls.pth``, or a checkpoint of an mmseg model), or
            MXNet file (``ilsvrc-cls_rna-a1_cls1000_ep-0001.params``,
            ``resnet_38d.params``); recognized by its content.
        prefix: See :func:`.one_backbone`.

    Returns:
        Tensors by key of ``WideResNet38``, and other tensors with the prefix, such as
        the classifier ``'fc8.weight'`` (K, 4096, 1, 1).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read, or holds no or several backbones.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'{path}: no such file (weights of WideResNet38)')
    state = (
        _read_mxnet(path)
        if _is_mxnet(path)
        else read_state_dict(path, 'an MXNet params file or a PyTorch file of tensors')
    )
    return one_backbone(state, [FIRST_KEY], 'WideResNet38', path, prefix)


def load_pretrained(
    module: nn.Module, path: str | os.PathLike, prefix: str | None = None
) -> None:
    """Load a file into a ``WideResNet38``; see :func:`read_weights`."""
    state = read_weights(path, prefix)
    unused = check_state(state, module, path)
    module.load_state_dict(state, strict=False)
    note = f'; not used: {", ".join(unused)}' if unused else ''
    print_log(f'Loaded WideResNet38 from {path}{note}', logger='current')


def segmentor_checkpoint(
    state: Mapping[str, Tensor], backbone: nn.Module
) -> dict[str, Any]:
    """Arrange weights as a checkpoint of a model with backbone and ``CAMHead``.

    Args:
        state: Weights from :func:`read_weights`.
        backbone: A ``WideResNet38`` that ``state`` fits.

    Returns:
        ``{'state_dict': ...}`` with the prefixes ``backbone.`` and ``cam_head.``, the
        latter if ``state`` has a classifier of the last map.
    """
    keys = backbone.state_dict().keys()
    renamed = {f'backbone.{key}': value for key, value in state.items() if key in keys}
    classifier = state.get(CLASSIFIER_KEY)
    if classifier is not None and classifier.shape[1] == len(state['bn7.weight']):
        renamed['cam_head.classifier.weight'] = classifier
    return {'state_dict': renamed}
