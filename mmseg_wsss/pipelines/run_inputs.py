"""Hash the files on which a run of a comparison depends besides its config."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from mmseg_wsss.datasets.label_maps import IMAGE_ERRORS
from mmseg_wsss.utils import sha256_of

from .comparison import Options, Run
from .given_masks import trained_mask_files

MASKS = 'train_dataloader.dataset.masks'


def tested_dataset(cfg: Config, setting: Options) -> dict:
    """Return the config of the dataset of a test, see :func:`.measure`."""
    cfg = deepcopy(cfg)
    cfg.merge_from_dict(dict(setting.get('cfg_options', {})))
    return cfg.test_dataloader.dataset.to_dict()


def file_digests(run: Run, wanted: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of the lists, tag files, masks and checkpoints of a run.

    Args:
        run: The run.
        wanted: ``sources`` and ``tests`` that are scored.

    Returns:
        Digests by the key in the config; for tests, by ``val/TEST`` and the key in the
        dataset; for the training masks together, ``MASKS``, which results of earlier
        versions lack. Files that do not exist, and the run's start, are left out.
    """
    cfg = run.load()
    parts = {
        'train_dataloader.dataset': cfg.train_dataloader.dataset,
        'model': cfg.model,
        'load_from': None if run.start else cfg.get('load_from'),
    }
    if wanted['sources']:
        parts['export_dataloader.dataset'] = cfg.export_dataloader.dataset
    for name, setting in wanted['tests'].items():
        parts[f'val/{name}'] = tested_dataset(cfg, setting)
    files = {key: p for name, part in parts.items() for key, p in _files(part, name)}
    digests = {key: _sha256(path, _state(path)) for key, path in files.items()}
    if masks := _masks(cfg):
        states = [_state(path) for path in masks]
        digests[MASKS] = _labels_sha256(tuple(masks), tuple(states))
    return digests


def _masks(cfg: Config) -> Sequence[str]:
    """Return the training masks; none if data are missing, as for a mere report."""
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmseg'):
            found = trained_mask_files(cfg.train_dataloader.dataset)
    except (OSError, ValueError, AssertionError):  # a training names the fault
        return []
    return sorted(filter(os.path.isfile, found))


def _files(node: Any, key: str, root: str = '') -> Iterator[tuple[str, str]]:
    """Yield keys and paths of the files that a part of a config names."""
    if isinstance(node, Mapping):
        root = node.get('data_root') or root
        for name, part in node.items():
            if isinstance(part, Mapping) and node.get('split'):  # as SemiDataset does
                part = {**part, 'ann_file': f'{node["split"]}/{name}.txt'}
            yield from _files(part, f'{key}.{name}', root)
    elif isinstance(node, list | tuple):
        for index, part in enumerate(node):
            yield from _files(part, f'{key}.{index}', root)
    elif isinstance(node, str):
        paths = (os.path.join(root, node), node)
        if path := next(filter(os.path.isfile, paths), None):
            yield key, path


def _state(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


@lru_cache
def _sha256(path: str, state: tuple[int, int]) -> str:
    """Hash a file, once per state (size and time of modification)."""
    return sha256_of(path)


@lru_cache
def _labels_sha256(paths: Sequence[str], states: Sequence[tuple[int, int]]) -> str:
    """Hash the names and the pixels of masks: encoders of other machines differ."""
    total = hashlib.sha256()
    for path in paths:
        try:
            with Image.open(path) as image:
                content = f'{image.mode} {image.size}'.encode() + image.tobytes()
        except IMAGE_ERRORS:
            content = sha256_of(path).encode()
        total.update(os.path.basename(path).encode() + b'\0')
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()
