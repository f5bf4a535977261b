"""Export the network of a training for plain mmseg."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.datasets import BaseSegDataset

from mmseg_wsss.engine.checkpoints import read_checkpoint
from mmseg_wsss.engine.startup_check import check_checkpoint
from mmseg_wsss.registry import DATASETS, METRICS, MODELS
from mmseg_wsss.utils.configs import walk_dicts
from mmseg_wsss.utils.files import StrPath, atomic_write

from .plain_network import averaged_state, renamed_state, semi_model, weak_model

KEPT = (
    'default_scope',
    'env_cfg',
    'vis_backends',
    'visualizer',
    'log_processor',
    'log_level',
    'test_cfg',
)
PACKAGE = 'mmseg_wsss'
# Transforms of our test pipelines and their equivalents in mmseg.
MMSEG_STEPS = {
    'LoadImageStrict': 'LoadImageFromFile',
    'LoadAnnotationsStrict': 'LoadAnnotations',
    'PackWeakInputs': 'PackSegInputs',
}
KEPT_OF_DATASETS = ('indices', 'ignore_index', 'backend_args')
CHECKS = ('num_classes', 'ignore_index')  # arguments that mmseg's transforms lack


def export_segmentor(
    cfg: Config,
    checkpoint: StrPath,
    networks: Sequence[str],
    out: StrPath,
    head: str | None = None,
) -> tuple[Path, Path]:
    """Write a checkpoint and a config for plain mmseg.

    Args:
        cfg: Config of a weakly or semi-supervised training.
        checkpoint: Checkpoint of this training.
        networks: Names of students or teachers of a semi-supervised training; the
            weights of several are averaged.
        out: Path of the checkpoint; the config has the same path with suffix ``.py``.
        head: Head of ASDT, see :func:`.weak_model`.

    Returns:
        Paths of the checkpoint and of the config.

    Raises:
        KeyError: If the checkpoint lacks one of the networks.
        ValueError: If the config has no network to export, the checkpoint does not fit
            it, or ``out`` ends with ``.py``.
    """
    out = Path(out)
    if out.suffix == '.py':
        raise ValueError(f'expected a checkpoint path such as NAME.pth, got {out}')
    model, prefixes = _plain_model(cfg, networks, head)
    plain = plain_config(cfg, model)
    loaded = read_checkpoint(checkpoint)
    meta = {'source': str(checkpoint), 'networks': list(networks)}
    dataset_meta = loaded.get('meta', {}).get('dataset_meta')
    if dataset_meta is not None:
        meta['dataset_meta'] = dataset_meta
    if prefixes is None:
        state = averaged_state(loaded['state_dict'], networks)
    else:
        state = renamed_state(loaded['state_dict'], prefixes)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
        network = MODELS.build(deepcopy(plain.model))
    for problem in check_checkpoint(network, state, training=False):
        raise ValueError(f'{checkpoint}: {problem.found}; name its own config')
    with atomic_write(out) as file:
        torch.save({'state_dict': state, 'meta': meta}, file)
    path = out.with_suffix('.py')
    with atomic_write(path, 'w') as file:
        file.write(plain.pretty_text)
    return out, path


def _plain_model(
    cfg: Config, networks: Sequence[str], head: str | None
) -> tuple[dict[str, Any], dict[str, str] | None]:
    """Return the config of the network, and prefixes unless networks are averaged."""
    model = cfg.model.to_dict()
    if model.get('data_preprocessor') is None and cfg.get('data_preprocessor'):
        model['data_preprocessor'] = cfg.data_preprocessor.to_dict()
    if 'segmentor' not in model:
        if networks:
            raise ValueError(
                f'--network {" ".join(networks)}: {model.get("type")} has one network; '
                'leave the option out'
            )
        return weak_model(model, head)
    if head is not None:
        raise ValueError(
            f'--head {head} is an option of ASDT; {model["type"]} takes --network'
        )
    return semi_model(model, networks), None


def plain_config(cfg: Config, model: Mapping[str, Any]) -> Config:
    """Return the config of a network and its test, for plain mmseg.

    ``custom_imports`` keeps other packages, and includes this one only if a part of the
    network, such as its backbone, comes from here. Losses and metrics of this package
    are replaced by mmseg's cross entropy and ``IoUMetric``.

    Args:
        cfg: Config of a training.
        model: Config of the network.
    """
    source = cfg.to_dict()
    model = deepcopy(dict(model))
    for part in walk_dicts([model.get('decode_head'), model.get('auxiliary_head')]):
        if 'loss_decode' in part:
            part['loss_decode'] = _plain_loss(part['loss_decode'])
    plain: dict[str, Any] = {key: source[key] for key in KEPT if key in source}
    for key in ('val_evaluator', 'test_evaluator'):
        if source.get(key) is not None:  # None turns validation or testing off
            plain[key] = _plain_metrics(source[key])
    plain |= {'model': model, 'load_from': None, 'resume': False}
    loader = source.get('test_dataloader')
    if loader is not None:
        dataset = loader['dataset']
        steps = [_plain_step(step) for step in _pipeline(dataset)]
        plain['test_pipeline'] = steps
        dataset = _plain_dataset(dataset, steps, source.get('default_scope'))
        loader = {**loader, 'dataset': dataset}
        plain['test_dataloader'] = loader
        metrics = plain.get('val_evaluator', plain.get('test_evaluator'))
        if metrics is not None:
            plain |= {'val_dataloader': loader, 'val_evaluator': metrics}
            plain['val_cfg'] = {'type': 'ValLoop'}
    plain |= _imports(source.get('custom_imports') or {}, plain)
    return Config(deepcopy(plain))


def _imports(given: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``custom_imports`` if the network or the dataset needs any."""
    names = [name for name in _listed(given.get('imports')) if name != PACKAGE]
    parts = {MODELS: plain['model'], DATASETS: plain.get('test_dataloader')}
    kinds = [
        registry.module_dict.get(str(part.get('type')))
        for registry, node in parts.items()
        for part in walk_dicts(node)
    ]
    if any(_is_ours(kind) for kind in kinds):
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


def _plain_metrics(metrics: Any) -> Any:
    """Drop the metrics of this package; fall back to mmseg's IoU if none is left."""
    listed = _listed(metrics)
    kept = [item for item in listed if not _is_ours(METRICS.get(item['type']))]
    if listed and not kept:
        kept = [{'type': 'IoUMetric', 'iou_metrics': ['mIoU']}]
    return kept if isinstance(metrics, list) else kept[0]


def _pipeline(dataset: Mapping[str, Any]) -> list[dict]:
    """Return the pipeline of a dataset, or of the first one inside wrappers."""
    while 'pipeline' not in dataset:
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    return dataset['pipeline']


def _plain_dataset(dataset: dict, steps: list[dict], scope: str | None) -> dict:
    """Convert a dataset of this package to mmseg's ``BaseSegDataset``."""
    if 'tags' in dataset:  # a test needs no tags
        dataset = dataset['dataset']
    for key in ('dataset', 'datasets'):  # RepeatDataset, ConcatDataset
        if key in dataset:
            parts = [_plain_dataset(d, steps, scope) for d in _listed(dataset[key])]
            return {**dataset, key: parts if key == 'datasets' else parts[0]}
    with DefaultScope.overwrite_default_scope(scope or 'mmseg'):
        kind = DATASETS.get(dataset['type'])
        listed = BaseSegDataset.load_data_list
        if not _is_ours(kind) or kind.load_data_list is not listed:  # ImageFolder
            return {**dataset, 'pipeline': steps}
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
        'pipeline': steps,
    }
