"""Export one network of a semi-supervised segmentor for plain mmseg."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils.configs import walk_dicts
from mmseg_wsss.utils.files import StrPath, atomic_write

KEPT = (
    'default_scope',
    'env_cfg',
    'vis_backends',
    'visualizer',
    'log_processor',
    'log_level',
    'val_evaluator',
    'test_evaluator',
    'test_cfg',
)
PACKAGE = 'mmseg_wsss'
# Steps of our test pipelines and the equivalent ones of mmseg.
MMSEG_STEPS = {
    'LoadImageStrict': 'LoadImageFromFile',
    'LoadAnnotationsStrict': 'LoadAnnotations',
    'PackWeakInputs': 'PackSegInputs',
}
KEPT_OF_DATASETS = ('indices', 'ignore_index', 'backend_args')
CHECKS = ('num_classes', 'ignore_index')  # arguments that mmseg's steps lack


def export_segmentor(
    cfg: Config, checkpoint: StrPath, networks: Sequence[str], out: StrPath
) -> tuple[Path, Path]:
    """Write a checkpoint and a config for plain mmseg.

    Args:
        cfg: Config of the semi-supervised training.
        checkpoint: Checkpoint of this training.
        networks: Names of students or teachers; the weights of several are averaged.
        out: Path of the checkpoint; the config has the same path with suffix ``.py``.

    Returns:
        Paths of the checkpoint and of the config.

    Raises:
        KeyError: If the checkpoint lacks one of the networks.
        ValueError: If the config is not one of a semi-supervised training, or ``out``
            ends with ``.py``.
    """
    out = Path(out)
    if out.suffix == '.py':
        raise ValueError(f'expected a checkpoint path such as NAME.pth, got {out}')
    plain = plain_config(cfg)
    with safe_checkpoints():
        loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
    meta = {'source': str(checkpoint), 'networks': list(networks)}
    dataset_meta = loaded.get('meta', {}).get('dataset_meta')
    if dataset_meta is not None:
        meta['dataset_meta'] = dataset_meta
    state = averaged_state(loaded['state_dict'], networks)
    with atomic_write(out) as file:
        torch.save({'state_dict': state, 'meta': meta}, file)
    path = out.with_suffix('.py')
    with atomic_write(path, 'w') as file:
        file.write(plain.pretty_text)
    return out, path


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
        prefix = f'{name}.'
        part = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
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


def plain_config(cfg: Config) -> Config:
    """Return the config of the model and the test of one network, for plain mmseg.

    ``custom_imports`` keeps other packages, and includes this one only if a part of the
    network, such as its backbone, comes from here.

    Args:
        cfg: Config of a semi-supervised training.

    Raises:
        ValueError: If the model has no ``segmentor``.
    """
    if 'segmentor' not in cfg.model:
        raise ValueError(
            'expected the config of a semi-supervised training, with model.segmentor; '
            f'found model.type = {cfg.model.get("type")!r}'
        )
    source = cfg.to_dict()
    model = deepcopy(source['model']['segmentor'])
    for key in ('decode_head', 'auxiliary_head'):
        for head in _listed(model.get(key)):
            if 'loss_decode' in head:
                head['loss_decode'] = _plain_loss(head['loss_decode'])
    outer = source['model'].get('data_preprocessor')
    if outer is not None:
        model['data_preprocessor'] = outer.get('data_preprocessor', outer)
    plain: dict[str, Any] = {key: source[key] for key in KEPT if key in source}
    plain |= {'model': model, 'load_from': None, 'resume': False}
    plain |= _imports(source.get('custom_imports') or {}, model)
    loader = source.get('test_dataloader')
    if loader is not None:
        steps = [_plain_step(step) for step in loader['dataset']['pipeline']]
        plain['test_pipeline'] = steps
        dataset = _plain_dataset(loader['dataset'], source.get('default_scope'))
        loader = {**loader, 'dataset': {**dataset, 'pipeline': steps}}
        plain |= {'test_dataloader': loader, 'val_dataloader': loader}
        plain['val_cfg'] = {'type': 'ValLoop'}
    return Config(deepcopy(plain))


def _imports(given: Mapping[str, Any], model: dict) -> dict[str, Any]:
    """Return ``custom_imports`` if the network needs any."""
    names = [name for name in _listed(given.get('imports')) if name != PACKAGE]
    kinds = {str(part.get('type')) for part in walk_dicts(model)}
    if any(_is_ours(MODELS.module_dict.get(kind)) for kind in kinds):
        names.append(PACKAGE)
    return {'custom_imports': {**given, 'imports': names}} if names else {}


def _listed(item: Any) -> list:
    if item is None:
        return []
    return item if isinstance(item, list) else [item]


def _plain_loss(loss: Any) -> Any:
    """Replace a loss of this package by cross entropy: a test does not compute it."""
    if isinstance(loss, list | tuple):
        return [_plain_loss(part) for part in loss]
    if not _is_ours(MODELS.get(loss['type'])):
        return loss
    return {'type': 'CrossEntropyLoss', 'loss_weight': loss.get('loss_weight', 1.0)}


def _is_ours(kind: Any) -> bool:
    return kind is not None and kind.__module__.startswith(f'{PACKAGE}.')


def _plain_step(step: dict) -> dict:
    if step['type'] not in MMSEG_STEPS:
        return step
    kept = {key: value for key, value in step.items() if key not in CHECKS}
    return {**kept, 'type': MMSEG_STEPS[step['type']]}


def _plain_dataset(dataset: dict, scope: str | None) -> dict:
    """Convert a data set of this package to mmseg's ``BaseSegDataset``."""
    if 'dataset' in dataset:  # a test needs no tags
        dataset = dataset['dataset']
    with DefaultScope.overwrite_default_scope(scope or 'mmseg'):
        kind = DATASETS.get(dataset['type'])
        if not _is_ours(kind):
            return dataset
        built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True})
    return {
        'type': 'BaseSegDataset',
        'metainfo': {key: built.metainfo[key] for key in ('classes', 'palette')},
        'ann_file': built.ann_file,
        'data_prefix': dict(built.data_prefix),
        'img_suffix': built.img_suffix,
        'seg_map_suffix': built.seg_map_suffix,
        'reduce_zero_label': built.reduce_zero_label,
        'test_mode': True,
        **{key: dataset[key] for key in KEPT_OF_DATASETS if key in dataset},
    }
