"""Extract the networks of mmseg from the segmentors of this package."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.models.segmentors import ASDT, WeakClassifier, WeakSegmentor
from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import read_settings

HEADS = ('student', 'teacher', 'fused')
KEPT_PARTS = ('backbone', 'neck', 'auxiliary_head', 'data_preprocessor')
INFERENCE_KEYS = ('mode', 'crop_size', 'stride')
POINT_KEYS = ('subdivision_steps', 'subdivision_num_points', 'scale_factor')


def semi_model(model: Mapping[str, Any], networks: Sequence[str]) -> dict[str, Any]:
    """Return the config of the network of a semi-supervised segmentor.

    Args:
        model: Config of the segmentor.
        networks: Names of the networks to export.

    Raises:
        ValueError: If no network is named.
    """
    if not networks:
        raise ValueError(
            f'{model["type"]} has several networks; name those to export, e.g. '
            '--network student1'
        )
    plain = deepcopy(dict(model['segmentor']))
    outer = model.get('data_preprocessor')
    if outer is not None:
        plain['data_preprocessor'] = outer.get('data_preprocessor', outer)
    return plain


def weak_model(
    model: Mapping[str, Any], head: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the config of the network of a weakly supervised segmentor.

    Args:
        model: Config of the segmentor.
        head: Head of ASDT, one of ``HEADS``; by default the one that predicts according
            to ``test_cfg.fuse``.

    Returns:
        Config of mmseg's ``EncoderDecoder``, or ``CascadeEncoderDecoder`` with a
        refining head, and a map from the prefixes of the weights in the checkpoint to
        their prefixes in the network.

    Raises:
        ValueError: If the segmentor has no such network.
    """
    kind: Any = MODELS.get(model['type'])
    name = kind.__name__ if kind else model['type']
    if kind is not None and issubclass(kind, WeakClassifier):
        raise ValueError(
            f'{name} has no segmentation head to export; export its pseudo-labels '
            '(tools/export_pseudo_labels.py) and train a network on them'
        )
    if kind is None or not issubclass(kind, WeakSegmentor):
        raise ValueError(
            f'expected the config of a weakly or semi-supervised training, found '
            f'model.type={name!r}'
        )
    fused = kind.encode_decode is ASDT.encode_decode
    if not fused and kind.encode_decode is not WeakSegmentor.encode_decode:
        raise ValueError(
            f'{name}.encode_decode differs from WeakSegmentor.encode_decode: a plain '
            'network would predict otherwise'
        )
    if not fused and head not in (None, 'student'):
        raise ValueError(f'{name} has one head: leave out --head {head}')
    plain = {key: deepcopy(model[key]) for key in KEPT_PARTS if model.get(key)}
    decode, prefixes = _decode_head(
        model, _head_of(model, head) if fused else 'student'
    )
    settings = read_settings(
        kind.test_settings_class, model.get('test_cfg'), 'test_cfg'
    )
    kept = INFERENCE_KEYS + (POINT_KEYS if isinstance(decode, list) else ())
    test_cfg = {k: v for k, v in vars(settings).items() if k in kept and v is not None}
    plain |= {'decode_head': decode, 'train_cfg': {}}
    plain |= {'type': 'EncoderDecoder', 'test_cfg': test_cfg}
    if isinstance(decode, list):
        plain |= {'type': 'CascadeEncoderDecoder', 'num_stages': len(decode)}
    same = {f'{part}.': f'{part}.' for part in KEPT_PARTS}
    return plain, same | prefixes


def _head_of(model: Mapping[str, Any], head: str | None) -> str:
    """Return the head of ASDT that is exported."""
    fuse = (model.get('test_cfg') or {}).get('fuse', 'max')
    single = fuse in ('student', 'teacher')
    if head == 'fused' and single:
        raise ValueError(
            f'--head fused: the config has model.test_cfg.fuse={fuse!r}; set it to '
            "'max' or 'mean', or give another --head"
        )
    return head or (fuse if single else 'fused')


def _decode_head(model: Mapping[str, Any], head: str) -> tuple[Any, dict[str, str]]:
    """Return the decode head of a network and the prefixes of its weights."""
    student = deepcopy(model['decode_head'])
    student = list(student) if isinstance(student, list | tuple) else [student]
    if head == 'teacher':
        return deepcopy(model['teacher_head']), {'teacher_head.': 'decode_head.'}
    if head == 'fused':
        if len(student) > 1:
            raise ValueError(
                '--head fused: mmseg has no network of two heads with a refining head; '
                'give --head student or --head teacher'
            )
        heads = [deepcopy(model['teacher_head']), *student]
        mode = (model.get('test_cfg') or {}).get('fuse', 'max')
        return {'type': 'FusedHead', 'heads': heads, 'mode': mode}, {
            'teacher_head.': 'decode_head.heads.0.',
            'decode_head.': 'decode_head.heads.1.',
        }
    if len(student) == 1:
        return student[0], {'decode_head.': 'decode_head.'}
    return student, {'decode_head.': 'decode_head.0.', 'refine_head.': 'decode_head.1.'}


def renamed_state(
    state: Mapping[str, Tensor], prefixes: Mapping[str, str]
) -> dict[str, Tensor]:
    """Select the weights with an old prefix, and replace it by the new one.

    Args:
        state: State of a segmentor.
        prefixes: New prefixes by old prefix.
    """
    return {
        new + key.removeprefix(old): value
        for key, value in state.items()
        for old, new in prefixes.items()
        if key.startswith(old)
    }


def averaged_state(
    state: Mapping[str, Tensor], networks: Sequence[str]
) -> dict[str, Tensor]:
    """Return the weights of a network, or the average of several networks.

    Args:
        state: State of a semi-supervised segmentor.
        networks: Names of its networks, at least one.

    Returns:
        State of a plain segmentor: the mean of floating tensors, other tensors of the
        first network.

    Raises:
        KeyError: If a network is missing.
    """
    parts = []
    for name in networks:
        part = renamed_state(state, {f'{name}.': ''})
        if not part:
            found = sorted({key.split('.')[0] for key in state})
            raise KeyError(f'the checkpoint has no network {name!r}; it has {found}')
        parts.append(part)
    return {key: _mean([part[key] for part in parts]) for key in parts[0]}


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    if not first.is_floating_point():
        return first
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(first.dtype)
