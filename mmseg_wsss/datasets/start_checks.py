"""Checks of a dataset before training, and of the labels of each sample."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np
from mmseg.datasets import BaseSegDataset

from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils.files import inside, read_utf8
from mmseg_wsss.utils.labels import IGNORE_INDEX

from .folders import walk_files
from .image_name import IMAGE_SUFFIXES
from .inner_dataset import views_of
from .label_maps import read_label_map
from .sample_key import seeded

NUM_FIRST, NUM_MORE = 8, 100  # masks after which usual datasets are accepted
BINARY = {0, IGNORE_INDEX}


def check_list(cfg: Mapping[str, Any]) -> None:
    """Check that the config of an mmseg dataset has images, also inside wrappers.

    Otherwise mmseg fails by an assertion if the list is missing, and MMEngine fails if
    there is no image.

    Args:
        cfg: Config of a dataset; lists of other file backends are not checked.

    Raises:
        FileNotFoundError: If the list does not exist.
        ValueError: If it is empty, there is no list and no image of ``img_suffix``, or
            ``indices`` leave no image.
    """
    indices = cfg.get('indices')
    if isinstance(indices, int | Sequence) and not indices:
        raise ValueError(
            f'{cfg["type"]}: indices={indices} leaves no image; correct or remove it'
        )
    for part in (*cfg.get('datasets', ()), cfg.get('dataset')):
        if isinstance(part, Mapping):
            check_list(part)
    path = os.path.join(cfg.get('data_root') or '', cfg.get('ann_file') or '')
    if '://' in path or cfg.get('backend_args'):
        return
    if not cfg.get('ann_file'):
        _check_folder(cfg)
        return
    if not os.path.exists(path):
        raise FileNotFoundError(
            f'{cfg["type"]}: the list {path} does not exist; correct ann_file, '
            'relative to data_root (tools/dataset_converters/semi_splits.py draws or '
            'imports the lists of a split)'
        )
    if os.path.isfile(path) and not read_utf8(path).strip():
        raise ValueError(f'{cfg["type"]}: the list {path} is empty')


def _check_folder(cfg: Mapping[str, Any]) -> None:
    """Check that a dataset that scans a folder finds images there."""
    kind = DATASETS.get(cfg['type']) if isinstance(cfg.get('type'), str) else None
    own = getattr(kind, 'load_data_list', None)
    if kind is None or own is not BaseSegDataset.load_data_list:
        return
    given = {n: p.default for n, p in signature(kind).parameters.items()} | dict(cfg)
    suffix, prefix = given.get('img_suffix'), given.get('data_prefix')
    if not isinstance(suffix, str) or not isinstance(prefix, Mapping):
        return  # the class passes them to its base
    folder = os.path.join(cfg.get('data_root') or '', prefix.get('img_path') or '')
    names = (name for _, _, files in os.walk(folder) for name in files)
    if not os.path.isdir(folder) or any(name.endswith(suffix) for name in names):
        return
    files = list(walk_files(folder))  # links too
    if any(path.name.endswith(suffix) for path in files):
        return
    found = [path for path in files if path.name.lower().endswith(IMAGE_SUFFIXES)]
    raise ValueError(
        f'{cfg["type"]}: no image in {folder} has the img_suffix {suffix!r}, found '
        f'{f"{len(found)} with others, such as {found[0]}" if found else "none at all"}'
        '; correct img_suffix, data_prefix or data_root'
    )


def check_paths(dataset: Any) -> list[str]:
    """Check the paths of an mmseg dataset and return those of its images.

    Args:
        dataset: The dataset, without wrappers.

    Raises:
        ValueError: If there is no image, or a line of the split list leaves the data
            root or is not the name of an image; the message names the list.
    """
    if not len(dataset):
        raise ValueError(
            f'{type(dataset).__name__}: no image in '
            f'{dataset.ann_file or dataset.data_prefix.get("img_path")}; correct the '
            'list, img_suffix or indices'
        )
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    paths = [info['img_path'] for info in infos]
    for key, folder in dataset.data_prefix.items():
        root = dataset.data_root
        if not root or (folder and not _is_inside(root, folder)):
            root = folder
        if root:
            _check_inside(root, (info.get(key) for info in infos), dataset)
    for path in paths:
        _check_name(path, dataset)
    return paths


def _check_inside(root: str, paths: Iterable[str | None], dataset: Any) -> None:
    prefix = os.path.join(root, '')
    for path in paths:
        # The first test is fast and true for all usual paths.
        if not path or (path.startswith(prefix) and '..' not in path[len(prefix) :]):
            continue
        if not _is_inside(root, path):
            raise ValueError(
                f'{path} leaves the data root {root}; correct its line in '
                f'{dataset.ann_file or "the dataset"}'
            )


def _is_inside(root: str, path: str) -> bool:
    try:
        inside(root, os.path.abspath(path))
    except ValueError:
        return False
    return True


def _check_name(path: str, dataset: Any) -> None:
    """Check for a byte-order mark, two columns or a suffix in a line of a list."""
    suffix = getattr(dataset, 'img_suffix', '') or ''
    folder = os.path.join(dataset.data_prefix.get('img_path') or '', '')
    name = path.removeprefix(folder).removesuffix(suffix)
    if not name:
        raise ValueError(
            f'{dataset.ann_file or "dataset"}: an empty line, which mmseg reads as '
            f'the image {path}; remove it'
        )
    has_suffix = bool(suffix) and name.lower().endswith(IMAGE_SUFFIXES)
    if not (has_suffix or '\ufeff' in path or len(name.split()) > 1):
        return
    if os.path.exists(path):
        return
    problem = 'a byte-order mark; save the list as UTF-8 without it'
    if '\ufeff' not in path:
        problem = (
            f'a name and its suffix; remove the suffix ({suffix!r} is added)'
            if has_suffix and len(name.split()) == 1
            else 'several columns; keep the names of the images only (import such '
            'lists with tools/dataset_converters/semi_splits.py)'
        )
    raise ValueError(
        f'{dataset.ann_file or "dataset"}: expected one name per line without suffix, '
        f'found {problem}; {path} does not exist'
    )


def check_ignored(parts: Iterable[Any]) -> None:
    """Check that concatenated datasets ignore the same value in their masks.

    Args:
        parts: The datasets, without wrappers.

    Raises:
        ValueError: If their ``ignore_index`` differs.
    """
    values = sorted({part.ignore_index for part in parts})
    if len(values) > 1:
        raise ValueError(
            f'concatenated datasets have ignore_index={values[0]} and {values[1]}: '
            'labels are checked and read with one value; store ignored pixels as '
            f'{IGNORE_INDEX} in all masks, and set ignore_index={IGNORE_INDEX}'
        )


def check_labels(sample: Any, path: str, dataset: Any, img: Any = None) -> None:
    """Check that the mask of a data sample contains classes of the dataset only.

    Args:
        sample: Data sample, with or without a mask.
        path: The image, for the message.
        dataset: The mmseg dataset.
        img: Image (..., H, W) of the sample.

    Raises:
        ValueError: If a label is invalid, or the mask has another size; the message
            names the file.
    """
    if 'gt_sem_seg' not in sample:
        return
    labels = sample.gt_sem_seg.data
    mask = getattr(sample, 'seg_map_path', None) or f'mask of {path}'
    if labels.ndim != 3 or len(labels) != 1:
        raise ValueError(
            f'{mask}: expected one label per pixel, found the shape '
            f'{tuple(labels.shape)}; save class indices, not colors'
        )
    size = tuple(labels.shape[-2:])
    sizes = [tuple(img.shape[-2:]), sample.get('ori_shape')] if img is not None else []
    if sizes and size not in sizes:
        raise ValueError(
            f'{mask}: its part of a crop is {size}, that of the image {path} is '
            f'{sizes[0]} (height, width): the files differ in size, or a transform '
            'changes one of them'
        )
    count = len(dataset.metainfo.get('classes') or ())
    invalid = (labels < 0) | (labels >= count)
    invalid &= (labels != IGNORE_INDEX) & (labels != dataset.ignore_index)
    if count and bool(invalid.any()):
        raise ValueError(
            f'{mask}: labels {labels[invalid].unique().tolist()} '
            f'outside [0, {count - 1}] and not {dataset.ignore_index} (ignored); the '
            f'dataset {type(dataset).__name__} has {count} classes: correct the mask, '
            'the classes or reduce_zero_label'
        )


def refuse_binary_masks(dataset: Any) -> None:
    """Refuse a dataset with masks of 0 and 255 only, as 255 is ignored.

    See :func:`binary_mask`.

    Args:
        dataset: A ``DeterministicDataset``.

    Raises:
        ValueError: If no other value is found.
    """
    path = binary_mask(dataset)
    if path is not None:
        raise ValueError(
            f'{path} and the other masks contain the values 0 and 255 only, and 255 is '
            'ignored: every pixel would be trained as class 0. Store class 1 as 1, '
            'e.g. np.where(mask == 255, 1, mask)'
        )


def binary_mask(dataset: Any) -> str | None:
    """Return the path of a mask with the value 255 if all have 0 and 255 only.

    Usually the first mask files show another value. Otherwise all are read, as a class
    may be rare, and then samples of the pipeline, which may map 255 to a class.

    Args:
        dataset: Dataset with the paths of its masks.
    """
    values: set[int] = set()
    ignored: dict[int, str] = {}  # paths of masks with the value 255
    for number, (index, path, found) in enumerate(_mask_values(dataset), 1):
        values |= found
        if IGNORE_INDEX in found:
            ignored[index] = path
        if values - BINARY or (number in (NUM_FIRST, NUM_MORE) and values != BINARY):
            return None
    if values != BINARY:
        return None
    values = set()
    few = _spread(len(ignored), NUM_MORE)
    with seeded(0):
        for index in (list(ignored)[position] for position in few):
            values |= _sample_values(dataset, index)
            if values - BINARY:
                return None
    return next(iter(ignored.values())) if values == BINARY else None


def _spread(size: int, count: int) -> list[int]:
    """Return at most ``count`` evenly spaced indices."""
    return np.unique(np.linspace(0, size - 1, min(size, count)).astype(int)).tolist()


def _mask_values(dataset: Any) -> Iterator[tuple[int, str, set[int]]]:
    """Yield index, path and values of each mask, first some spread over the list."""
    size = len(dataset)
    seen: set[str] = set()
    for index in dict.fromkeys([*_spread(size, NUM_MORE), *range(size)]):
        path = dataset.get_data_info(index).get('seg_map_path') or ''
        if path in seen:  # repeated
            continue
        seen.add(path)
        try:
            # mmseg reads 8 bits: 65535 becomes 255.
            values = np.unique(read_label_map(path)) if path else [1]
            yield index, path, {min(int(value), IGNORE_INDEX) for value in values}
        except ValueError:  # reported where the mask is loaded
            yield index, path, {1}


def _sample_values(dataset: Any, index: int) -> set[int]:
    """Return the labels of a sample of the pipeline."""
    try:
        views = views_of(dataset[index])
    except Exception:  # raised again, with its message, when the training loads it
        return {1}
    masks = [view.gt_sem_seg for view in views if 'gt_sem_seg' in view]
    return {value for mask in masks for value in mask.data.unique().tolist()}
