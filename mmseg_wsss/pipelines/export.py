"""Export the pseudo-labels of a whole split; an interrupted export resumes."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.device import get_device
from mmengine.dist import barrier, broadcast_object_list, get_dist_info
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, load_checkpoint
from torch import nn
from torch.utils.data import Dataset

from mmseg_wsss.datasets.deterministic_dataset import DeterministicDataset
from mmseg_wsss.engine.checkpoints import safe_checkpoints
from mmseg_wsss.registry import DATASETS, MODELS
from mmseg_wsss.utils import sha256_of
from mmseg_wsss.utils.configs import model_config
from mmseg_wsss.utils.files import StrPath
from mmseg_wsss.utils.progress import ProgressBar

from .export_files import (
    ExportFormat,
    prepare_folder,
    record_inputs,
    unfinished,
    write_given_mask,
    write_pseudo_label,
)
from .given_masks import masks_sha256
from .stages import only_one


def export_from_config(
    cfg: Config,
    checkpoint: StrPath,
    out_dir: StrPath,
    source: str,
    *,
    split: str | None = None,
    soft: bool = False,
    bg_thr: float | None = None,
    given_masks: bool = True,
    overwrite: bool = False,
    progress: bool = True,
) -> int:
    """Export the pseudo-labels of a trained model, split over the ranks.

    Images with complete files are skipped, so that an interrupted export resumes.
    ``manifest.json`` in the folder prevents a mixture of models, checkpoints or
    sources, and ``inputs.json`` a mixture of images or tags. Images of the labeled part
    of a ``SemiDataset`` get their masks; the manifest lists them under ``given``.

    Args:
        cfg: Config of the training.
        checkpoint: Checkpoint file with exactly the keys of the model.
        out_dir: Folder of the files, see :func:`write_pseudo_label`.
        source: Name of the pseudo-label, such as ``fused``.
        split: ``'train'`` for ``cfg.export_dataloader``, ``'val'`` or ``'test'`` for
            the loader of this name; by default ``export_dataloader`` if the config has
            one, else ``test_dataloader``.
        soft: Whether to write soft maps as well.
        bg_thr: See :class:`ExportFormat`.
        given_masks: Whether labeled images get their masks in place of pseudo-labels.
        overwrite: Whether to replace files of another export in the folder.
        progress: Whether rank 0 shows a progress bar.

    Returns:
        Number of images of the split.

    Raises:
        KeyError: If the config has no such dataloader.
        FileExistsError: If the folder has files of another export, or of other images
            or tags with the same names, and ``overwrite`` is off; always, if it has
            files of these images that no export has written.
        BlockingIOError: If another export into the folder is running.
        TypeError: If the model exports no pseudo-labels.
        RuntimeError: If files are missing at the end.
        ValueError: If two images have the same name, or a given mask differs from its
            image in size.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    loader_cfg = dict(choose_dataloader(cfg, split))
    dataset = DATASETS.build(loader_cfg['dataset'])
    dataset.full_init()
    paths = image_paths(dataset)
    names = list(paths.values())
    given = labeled_names(dataset) if given_masks else []
    meta = dataset.metainfo
    options = ExportFormat(
        source, meta['palette'], soft, bg_thr, meta['classes'][0] == 'background'
    )

    def prepare() -> list[int]:
        manifest = {
            'source': source,
            'bg_thr': bg_thr,
            'checkpoint_sha256': sha256_of(checkpoint),
            'config_sha256': _config_sha256(cfg, loader_cfg),
            **(
                {'given': given, 'given_sha256': masks_sha256(dataset.labeled)}
                if given
                else {}
            ),
        }
        prepare_folder(out_dir, manifest, names, overwrite)
        record_inputs(out_dir, _digests(dataset, paths), overwrite, 'images or tags')
        return unfinished(out_dir, names, soft)

    rank, world_size = get_dist_info()
    with only_one(Path(out_dir)) if rank == 0 else nullcontext():
        missing = _on_first_rank(prepare)
        for index in [i for i in missing if i < len(given)][rank::world_size]:
            sample = dataset[index]['data_samples']
            write_given_mask(out_dir, names[index], sample, options)
        indices = [i for i in missing if i >= len(given)][rank::world_size]
        if indices:
            model = build_model(cfg, checkpoint)
            # A list of indices is a sampler that repeats no image to pad the ranks.
            loader_cfg |= {'dataset': dataset, 'sampler': indices}
            batches = Runner.build_dataloader(loader_cfg)
            export_pseudo_labels(
                model, batches, paths, out_dir, options, len(indices), progress
            )
        verify_export(out_dir, names, soft)
    return len(names)


def choose_dataloader(cfg: Config, split: str | None) -> dict:
    """Return the dataloader config of a split, see :func:`export_from_config`."""
    keys = {
        None: ['export_dataloader', 'test_dataloader'],
        'train': ['export_dataloader'],
        'val': ['val_dataloader'],
        'test': ['test_dataloader'],
    }[split]
    for key in keys:
        if cfg.get(key) is not None:
            return cfg[key]
    raise KeyError(f'expected {" or ".join(keys)} in the config, found none')


def build_model(cfg: Config, checkpoint: StrPath) -> nn.Module:
    """Build the model of a config in eval mode and load a checkpoint into it.

    Raises:
        TypeError: If the model exports no pseudo-labels.
    """
    model = MODELS.build(model_config(cfg))
    if not hasattr(model, 'pseudo_sources'):
        raise TypeError(
            f'{type(model).__name__} exports no pseudo-labels; expected a weakly '
            'supervised method such as ASDT; tools/predict.py writes the predictions '
            'of any network'
        )
    with safe_checkpoints():
        load_checkpoint(model, str(checkpoint), 'cpu', strict=True, logger='silent')
    return model.to(get_device()).eval()


def image_paths(dataset: Dataset) -> dict[str, str]:
    """Return the names of all images: paths below the image folder without suffix.

    Returns:
        Names by ``img_path``, in the order of the dataset.

    Raises:
        ValueError: If two images have the same name.
    """
    pairs = _paths_and_names(dataset)
    doubles = [name for name, n in Counter(n for _, n in pairs).items() if n > 1]
    if doubles:
        raise ValueError(
            f'{doubles[0]} occurs more than once in the dataset: its files '
            'would be overwritten'
        )
    return dict(pairs)


def image_names(dataset: Dataset) -> set[str]:
    """Return the names of all images; the dataset may repeat images."""
    return {name for _, name in _paths_and_names(dataset)}


def labeled_names(dataset: Dataset) -> list[str]:
    """Return the names of the labeled part of a ``SemiDataset``, the first images."""
    count = len(getattr(dataset, 'labeled', ()))
    return [_path_and_name(dataset, index)[1] for index in range(count)]


def _digests(dataset: Any, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each image file and its tags, by the name of the image."""
    parts = getattr(dataset, 'parts', {})
    parts = parts.values() if isinstance(parts, dict) else [dataset]
    tags = [part.tags for part in parts if getattr(part, 'tags', None) is not None]
    digests = {}
    for path, name in paths.items():
        digest = sha256_of(path) if os.path.isfile(path) else ''  # not a local file
        vectors = [some.vector(name).tobytes() for some in tags if name in some]
        digests[name] = hashlib.sha256(b'\0'.join([digest.encode(), *vectors]))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _paths_and_names(dataset: Any) -> list[tuple[str, str]]:
    if isinstance(dataset, ConcatDataset | RepeatDataset):
        dataset = DeterministicDataset(dataset)  # has the folders of all parts
    return [_path_and_name(dataset, index) for index in range(len(dataset))]


def _path_and_name(dataset: Any, index: int) -> tuple[str, str]:
    img_path = dataset.get_data_info(index)['img_path']
    path = Path(img_path)
    folder = getattr(dataset, 'data_prefix', {}).get('img_path')
    if hasattr(dataset, 'name'):
        return img_path, dataset.name(index)
    if folder and path.is_relative_to(folder):
        return img_path, path.relative_to(folder).with_suffix('').as_posix()
    return img_path, path.stem


def export_pseudo_labels(
    model: nn.Module,
    batches: Iterable[dict],
    paths: Mapping[str, str],
    out_dir: StrPath,
    options: ExportFormat,
    total: int,
    progress: bool = True,
) -> None:
    """Write the pseudo-labels of all images of a loader.

    Args:
        model: Segmentor in eval mode with a ``data_preprocessor`` and
            ``pseudo_labels(inputs, data_samples, sources)``, which returns per image a
            dictionary from source to label (H, W) and soft map (C, H, W).
        batches: Batches of the test pipeline, of this rank only.
        paths: Names of the images by ``img_path``.
        out_dir: Folder of the files.
        options: Content of the files.
        total: Number of images in ``batches``.
        progress: Whether rank 0 shows the progress of its images.
    """
    rank, world_size = get_dist_info()
    title = f'Exporting {options.source}'
    if world_size > 1:
        title += f' (rank 0 of {world_size})'
    with ProgressBar(title, total, disable=not progress or rank > 0) as bar:
        for batch in batches:
            with torch.no_grad():
                data = model.data_preprocessor(batch, False)  # type: ignore[operator]
                results = model.pseudo_labels(  # type: ignore[operator]
                    data['inputs'], data['data_samples'], [options.source]
                )
            for sample, result in zip(data['data_samples'], results):
                label, prob = result[options.source]
                name = paths[sample.metainfo['img_path']]
                write_pseudo_label(out_dir, name, label, prob, options)
                bar.advance()


def verify_export(out_dir: StrPath, names: Sequence[str], soft: bool) -> None:
    """Wait for all ranks, then check that the files of every image are complete.

    Raises:
        RuntimeError: If files are missing or damaged; the message gives the first.
    """
    barrier()
    missing = unfinished(out_dir, names, soft)
    if missing:
        raise RuntimeError(
            f'expected files of {len(names)} images in {out_dir}, found '
            f'{len(names) - len(missing)}; the first missing or damaged one is '
            f'{names[missing[0]]}'
        )


def _on_first_rank(function: Callable[[], list[int]]) -> list[int]:
    """Call a function on rank 0 and broadcast its result to all ranks."""
    result = [function() if get_dist_info()[0] == 0 else []]
    broadcast_object_list(result)
    return result[0]


def _config_sha256(cfg: Config, loader_cfg: dict) -> str:
    """Hash what determines the labels in a config: model, preprocessing and data."""
    parts = [cfg.model, cfg.get('data_preprocessor'), loader_cfg['dataset']]
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
