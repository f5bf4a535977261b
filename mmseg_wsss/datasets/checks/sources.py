"""The splits that a config, or a folder of images, consists of; for the checks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_wsss.registry import DATASETS

from ..label_maps import LabelRule
from ..splits.published import PUBLISHED, digest
from ..splits.split_lists import read_list
from ..tags.image_tags import ImageTags, TagError
from ..wrappers import with_split_list
from .check_splits import Finding, Split, SplitImage

StrPath = str | os.PathLike[str]

LOADERS = {'train': 'train_dataloader', 'val': 'val_dataloader'}


def splits_from_config(config: Config) -> tuple[list[Split], list[Finding]]:
    """Splits that the loaders for training and validation of a config read.

    Wrappers (``WeakDataset``, ``SemiDataset``, ``ConcatDataset``, ``RepeatDataset``)
    are looked through; the masks of a ``WeakDataset`` may be missing, those of the
    unlabeled part of a ``SemiDataset`` are not looked at, and a split that bears the
    name of a published one must have its labeled images.

    Args:
        config: An mmseg config.

    Returns:
        The splits, and what went wrong while listing them.
    """
    splits: list[Split] = []
    findings: list[Finding] = []
    for name, key in LOADERS.items():
        loader = config.get(key)
        if loader is not None:
            _collect(name, loader['dataset'], {}, splits, findings)
    if not splits and not findings:
        what = f'none of {", ".join(LOADERS.values())}'
        findings.append(Finding('cannot load', str(config.filename), what))
    return splits, findings


def _collect(
    name: str,
    cfg: dict,
    weak: dict,
    splits: list[Split],
    findings: list[Finding],
) -> None:
    """Add the split of a dataset config, or of those that it wraps.

    ``weak`` is the config of the ``WeakDataset`` around it, if there is one.
    """
    inner = cfg.get('datasets') or ([cfg['dataset']] if 'dataset' in cfg else [])
    if 'unlabeled' in cfg:
        labeled, unlabeled = cfg['labeled'], cfg['unlabeled']
        if cfg.get('split') is not None:
            labeled = with_split_list('labeled', labeled, cfg['split'])
            unlabeled = with_split_list('unlabeled', unlabeled, cfg['split'])
        inner = [labeled, _without_masks(unlabeled)]
        _check_name(labeled, findings)
    for part in inner:
        _collect(name, part, cfg if 'tags' in cfg else weak, splits, findings)
    if inner:
        return
    missing = _missing_paths(cfg)
    if missing:
        findings += [
            Finding('cannot load', p, f'does not exist ({name})') for p in missing
        ]
        return
    try:
        dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': False})
    except Exception as error:  # whatever a user's data set raises is to be shown
        what = f'{type(error).__name__}: {error}'
        findings.append(Finding('cannot load', f'dataset of {name}', what))
        return
    split = _split(name, dataset)
    if weak:
        from_masks = dict(weak['tags']).get('source') == 'masks'
        split.masks_optional = not (from_masks or weak.get('test_mode', False))
        if not from_masks:
            classes = dataset.metainfo['classes']
            split.tags = _load_tags(weak['tags'], split, classes, findings)
    splits.append(split)


def _without_masks(cfg: dict) -> dict:
    """A dataset config that does not know where masks are."""
    if not cfg.get('data_prefix'):
        return cfg
    prefix = {k: v for k, v in cfg['data_prefix'].items() if k != 'seg_map_path'}
    return {**cfg, 'data_prefix': prefix}


def _check_name(labeled: dict, findings: list[Finding]) -> None:
    """Whether lists in a folder named after a published split are that split's."""
    path = Path(labeled.get('data_root') or '', labeled.get('ann_file') or '')
    split = PUBLISHED.get(path.parent.name)
    if split is None or split.digest is None or not path.is_file():
        return
    if digest(read_list(path)) != split.digest:
        what = f'these are not the labeled images of {split.name}'
        findings.append(Finding('wrong split', str(path), what))


def _missing_paths(cfg: dict) -> list[str]:
    """Files and folders of a dataset config that do not exist."""
    root = cfg.get('data_root') or ''
    prefix = cfg.get('data_prefix') or {}
    wanted = [cfg.get('ann_file'), prefix.get('img_path')]
    paths = [os.path.join(root, path) for path in wanted if path]
    return [path for path in paths if not os.path.exists(path)]


def _split(name: str, dataset: Any) -> Split:
    folder = dataset.data_prefix.get('img_path')
    images = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = info['img_path']
        images.append(
            SplitImage(_name(path, folder), path, info.get('seg_map_path') or None)
        )
    # With a label map the files hold the labels of the original classes.
    labels = len(dataset.label_map or dataset.metainfo['classes'])
    return Split(
        name,
        images,
        folder,
        dataset.data_prefix.get('seg_map_path'),
        LabelRule(labels, False, dataset.reduce_zero_label, dataset.ignore_index),
        img_suffix=dataset.img_suffix,
    )


def _name(path: StrPath, folder: StrPath | None) -> str:
    path = Path(path)
    if folder is not None and path.is_relative_to(folder):
        path = path.relative_to(folder)
    return path.with_suffix('').as_posix()


def _load_tags(
    tags: dict, split: Split, classes: Sequence[str], findings: list[Finding]
) -> ImageTags | None:
    options = {key: value for key, value in tags.items() if key != 'source'}
    names = classes[1:] if classes[0] == 'background' else classes
    try:
        images = [image.name for image in split.images]
        return ImageTags.load_for(images, classes=names, **options)
    except TagError as error:
        findings += tag_findings(error)
    except (OSError, ValueError, TypeError) as error:
        findings.append(Finding('tags', str(options.get('path')), str(error)))
    return None


def tag_findings(error: TagError) -> list[Finding]:
    """A finding for each problem of tags."""
    findings = []
    for text in error.problems:
        where, _, what = text.partition(': ')
        if not where.startswith(error.source):
            where, what = error.source, text
        findings.append(Finding('tags', where, what))
    return findings


def split_from_folder(
    name: str,
    images: StrPath,
    masks: StrPath | None = None,
    split_file: StrPath | None = None,
    img_suffix: str = '.jpg',
    mask_suffix: str = '.png',
    rule: LabelRule | None = None,
    tags: ImageTags | None = None,
) -> Split:
    """Split of a plain folder of images.

    Args:
        name: Name of the split.
        images: Folder of images.
        masks: Folder of label maps with the same names, if there are any.
        split_file: Text file with one name a line; None takes every image.
        img_suffix: End of the names of images.
        mask_suffix: End of the names of label maps.
        rule: Which labels masks may hold.
        tags: Image tags that must cover the images.

    Raises:
        FileNotFoundError: No such folder or list.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder')
    if split_file is None:
        found = sorted(p for p in folder.rglob('*') if p.name.endswith(img_suffix))
        names = [p.relative_to(folder).as_posix()[: -len(img_suffix)] for p in found]
    else:
        lines = Path(split_file).read_text(encoding='utf-8').splitlines()
        names = [line.strip() for line in lines if line.strip()]
    entries = [
        SplitImage(
            entry,
            os.path.join(folder, entry + img_suffix),
            None if masks is None else os.path.join(masks, entry + mask_suffix),
        )
        for entry in names
    ]
    return Split(name, entries, folder, masks, rule, tags, img_suffix)
