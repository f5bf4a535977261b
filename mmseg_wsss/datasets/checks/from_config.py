"""Splits that the data loaders of a config read, for the data check."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS

from ..folders import walk_files
from ..image_headers import ROTATED
from ..image_name import IMAGE_SUFFIXES, foreground_classes, image_name
from ..label_maps import LabelRule
from ..semi_dataset import parts_of_semi
from ..splits.published import PUBLISHED, digest
from ..splits.split_lists import read_list
from ..start_checks import check_list
from ..tags.image_tags import ImageTags, TagError
from .split import Finding, Split, SplitImage

LOADERS = {'train': 'train_dataloader', 'val': 'val_dataloader'}


def splits_from_config(config: Config) -> tuple[list[Split], list[Finding]]:
    """Build the splits of the training and validation loaders of a config.

    Wrappers (``WeakDataset``, ``SemiDataset``, ``ConcatDataset``, ``RepeatDataset``)
    are unwrapped. Masks of a ``WeakDataset`` may be missing, masks of the unlabeled
    part of a ``SemiDataset`` are not checked, and a split with the name of a published
    one must have its labeled images. Image names in ``export_dataloader`` must differ.

    Args:
        config: An mmseg config.

    Returns:
        The splits, and the problems of building them.
    """
    splits: list[Split] = []
    findings: list[Finding] = []
    for name, key in LOADERS.items():
        loader = config.get(key)
        if loader is not None:
            _collect(name, loader['dataset'], {}, splits, findings)
    findings += _masks_as_images(splits)
    exported = config.get('export_dataloader')
    if exported is not None:
        known = {(finding.kind, finding.location) for finding in findings}
        found = _check_export(exported['dataset'])
        findings += [f for f in found if (f.kind, f.location) not in known]
    if not splits and not findings:
        message = f'none of {", ".join(LOADERS.values())}'
        findings.append(Finding('cannot load', str(config.filename), message))
    return splits, findings


def _masks_as_images(splits: Sequence[Split]) -> Iterator[Finding]:
    """Find parts that take masks for images, as in folders that contain both."""
    images = [image for split in splits for image in split.images]
    masks = {os.path.abspath(image.mask) for image in images if image.mask}
    for split in splits:
        paths = [i.path for i in split.images if os.path.abspath(i.path) in masks]
        if paths:
            message = (
                f'is a mask and an image of {split.name}, one of {len(paths)}; name '
                'the folder of the images alone'
            )
            yield Finding('mask as image', paths[0], message)


def _check_export(cfg: dict) -> Iterator[Finding]:
    """Find the problems of an export, including names that several parts share."""
    parts: list[Split] = []
    findings: list[Finding] = []
    _collect('export', cfg, {}, parts, findings)
    yield from findings
    seen: dict[str, tuple[int, str]] = {}
    for number, part in enumerate(parts):
        for image in part.images:
            first, path = seen.setdefault(image.name, (number, image.path))
            if first != number:
                message = (
                    f'has the name of {path}, which an export of labels refuses: '
                    'remove it from its folder or list if it is the same image, else '
                    'rename it'
                )
                yield Finding('repeated name', image.path, message)


def _collect(
    name: str, cfg: dict, weak: dict, splits: list[Split], findings: list[Finding]
) -> None:
    """Append the split of a dataset config, or those of the datasets it wraps.

    ``weak`` holds the tags of the surrounding ``WeakDataset`` or of the part of a
    ``SemiDataset``; it is empty if there are none.
    """
    if 'labeled' in cfg:
        for part, dataset, tags in _parts_of_semi(cfg):
            _collect(name, dataset, tags, splits, findings)
            if part == 'labeled':
                _check_published(dataset, findings)
        return
    inner = cfg.get('datasets') or ([cfg['dataset']] if 'dataset' in cfg else [])
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
        check_list(cfg)
        dataset = DATASETS.build({**cfg, 'pipeline': [], 'lazy_init': False})
    except Exception as error:  # a user's dataset class may raise anything
        message = f'{type(error).__name__}: {error}'
        findings.append(Finding('cannot load', f'dataset of {name}', message))
        return
    try:
        foreground_classes(dataset.metainfo)
    except ValueError as error:
        masks = dataset.data_prefix.get('seg_map_path')
        if weak or (masks and not dataset.metainfo.get('classes')):
            location = f'{type(dataset).__name__} of {name}'
            findings.append(Finding('classes', location, str(error)))
            return
    findings += _unused_images(name, dataset)
    split = _split_of(name, dataset)
    steps = {**cfg, **weak}.get('pipeline') or ()
    split.cut_to_8_bits = any(
        step.get('type') == 'LoadImageFromFile'
        and step.get('color_type') != 'unchanged'
        for step in steps
    )
    split.rotate = all(step.get('color_type', 'color') in ROTATED for step in steps)
    if weak:
        from_masks = dict(weak['tags']).get('source') == 'masks'
        split.masks_optional = not (from_masks or weak.get('test_mode', False))
        if not from_masks:
            classes = foreground_classes(weak.get('metainfo') or dataset.metainfo)
            split.tags = _load_tags(weak['tags'], classes, findings)
            split.partial_tags = weak.get('partial', False)
    splits.append(split)


def _unused_images(name: str, dataset: Any) -> Iterator[Finding]:
    """Find images that mmseg's scan of a folder leaves out by their suffix."""
    scans = type(dataset).load_data_list is BaseSegDataset.load_data_list
    if dataset.ann_file or not scans:
        return
    suffix, masks = dataset.img_suffix, dataset.data_prefix.get('seg_map_path')
    unused = [
        path
        for path in walk_files(dataset.data_prefix['img_path'])
        if path.name.lower().endswith(IMAGE_SUFFIXES)
        and not path.name.endswith(suffix)
        and not (
            masks
            and path.is_relative_to(masks)
            and path.name.endswith(dataset.seg_map_suffix)
        )
    ]
    if unused:
        more = f' and {len(unused) - 1} more' if len(unused) > 1 else ''
        message = f'not in {name}{more}: its img_suffix is {suffix!r}; rename the files'
        yield Finding('unused image', str(unused[0]), message)


def _parts_of_semi(cfg: dict) -> Iterator[tuple[str, dict, dict]]:
    """Yield name and config of each part of a ``SemiDataset``, and of its tags."""
    for part, (dataset, tags) in parts_of_semi(cfg).items():
        weak = {
            'tags': tags,
            'metainfo': _metainfo(cfg['labeled']),
            'partial': part == 'unlabeled',
            'test_mode': part == 'labeled',  # the masks are required
        }
        dataset = dataset if part == 'labeled' else _without_masks(dataset)
        yield part, dataset, {} if tags is None else weak


def _metainfo(cfg: dict) -> dict | None:
    """Return the meta information of a dataset config, None without classes."""
    while 'dataset' in cfg or 'datasets' in cfg:
        cfg = cfg['dataset'] if 'dataset' in cfg else cfg['datasets'][0]
    given = cfg.get('metainfo') or getattr(DATASETS.get(cfg['type']), 'METAINFO', {})
    return given if given.get('classes') else None


def _without_masks(cfg: dict) -> dict:
    """Remove the folder of masks from a dataset config."""
    if not cfg.get('data_prefix'):
        return cfg
    prefix = {k: v for k, v in cfg['data_prefix'].items() if k != 'seg_map_path'}
    return {**cfg, 'data_prefix': prefix}


def _check_published(labeled: dict, findings: list[Finding]) -> None:
    """Check a list in a folder with the name of a published split."""
    path = Path(labeled.get('data_root') or '', labeled.get('ann_file') or '')
    split = PUBLISHED.get(path.parent.name)
    if split is None or split.digest is None or not path.is_file():
        return
    try:
        names = read_list(path)
    except ValueError as error:
        findings.append(Finding('split list', str(path), str(error)))
        return
    if digest(names) != split.digest:
        message = f'these are not the labeled images of {split.name}'
        findings.append(Finding('wrong split', str(path), message))


def _missing_paths(cfg: dict) -> list[str]:
    """Return the files and folders of a dataset config that do not exist."""
    root = cfg.get('data_root') or ''
    prefix = cfg.get('data_prefix') or {}
    wanted = [cfg.get('ann_file'), prefix.get('img_path')]
    paths = [os.path.join(root, path) for path in wanted if path]
    return [path for path in paths if not os.path.exists(path)]


def _split_of(name: str, dataset: Any) -> Split:
    """Build the split of an mmseg dataset."""
    folder = dataset.data_prefix.get('img_path')
    images = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path, mask = info['img_path'], info.get('seg_map_path') or None
        images.append(SplitImage(image_name(path, folder), path, mask))
    # With a label map the files hold the labels of the original classes.
    labels = len(dataset.label_map or dataset.metainfo.get('classes') or ())
    rule = LabelRule(labels, False, dataset.reduce_zero_label, dataset.ignore_index)
    return Split(
        name,
        images,
        folder,
        dataset.data_prefix.get('seg_map_path'),
        rule if labels else None,
        classes=_classes_of(dataset),
        img_suffix=dataset.img_suffix,
    )


def _classes_of(dataset: Any) -> dict[int, str]:
    """Return the class of each label in the files of an mmseg dataset."""
    names = dataset.metainfo.get('classes') or ()
    if dataset.label_map is not None:
        return {old: names[new] for old, new in dataset.label_map.items() if new != 255}
    return {value + int(dataset.reduce_zero_label): n for value, n in enumerate(names)}


def _load_tags(
    tags: dict, classes: Sequence[str], findings: list[Finding]
) -> ImageTags | None:
    try:
        return ImageTags.load(classes=classes, **tags)
    except TagError as error:
        findings += tag_findings(error)
        return error.tags  # to list missing entries, too
    except (OSError, ValueError, TypeError) as error:
        findings.append(Finding('tags', str(tags.get('path')), str(error)))
    return None


def tag_findings(error: TagError) -> list[Finding]:
    """Convert each problem of tags to a finding."""
    findings = []
    for text in error.problems:
        location, _, message = text.partition(': ')
        if not location.startswith(error.source):
            location, message = error.source, text
        findings.append(Finding('tags', location, message))
    return findings
