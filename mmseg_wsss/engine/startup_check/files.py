"""Check image files against the transforms that load them, and their labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmcv.transforms import LoadAnnotations, LoadImageFromFile

from mmseg_wsss.datasets.checks.check_files import image_size
from mmseg_wsss.datasets.image_headers import ROTATED, read_header
from mmseg_wsss.datasets.label_maps import IMAGE_ERRORS, LabelRule
from mmseg_wsss.datasets.start_checks import binary_mask
from mmseg_wsss.utils.labels import IGNORE_INDEX

from .classes import transforms_of
from .problem import Problem

REMEDY = 'correct the mask; tools/misc/check_dataset.py lists all'
NUM_SAMPLES = 8  # validation samples to load completely
NUM_FILES = 32  # files to check of each part; the loaders check all of them


def check_files(dataset: Any, name: str) -> Iterator[Problem]:
    """Check the headers of some files of a dataset, evenly spread over its list.

    Args:
        dataset: Training or validation data.
        name: Purpose of the dataset, for messages: ``'training'``, ``'validation'``.
    """
    parts = [
        getattr(dataset, part, None) for part in ('labeled', 'tagged', 'unlabeled')
    ]
    for part in [item for item in parts if item is not None] or [dataset]:
        if not hasattr(part, 'get_data_info') or not len(part):
            continue
        steps = list(transforms_of(part))
        few = np.linspace(0, len(part) - 1, min(len(part), NUM_FILES)).astype(int)
        infos = [part.get_data_info(int(index)) for index in few]
        yield from _check_depth(infos, steps, name)
        if any(isinstance(step, LoadAnnotations) for step in steps):
            loaders = [step for step in steps if isinstance(step, LoadImageFromFile)]
            rotate = all(step.color_type in ROTATED for step in loaders)
            yield from _check_sizes(infos, name, rotate)


def _upright_size(path: str) -> tuple[int, ...]:
    """Return (height, width) of an image of any format, as OpenCV rotates it."""
    try:
        return image_size(path)
    except IMAGE_ERRORS:  # the loader reports them
        return ()


def check_labels(dataset: Any) -> Iterator[Problem]:
    """Check the labels of some validation samples, evenly spread over their list.

    mmseg's metric silently ignores labels outside the range of the classes. Samples are
    checked as the pipeline returns them, since it may map the labels of the files.

    Args:
        dataset: Validation data.
    """
    num_classes = len(getattr(dataset, 'metainfo', {}).get('classes') or ())
    if not num_classes or not len(dataset) or not hasattr(dataset, 'get_data_info'):
        return
    values: set[int] = set()
    few = np.linspace(0, len(dataset) - 1, min(len(dataset), NUM_SAMPLES))
    for index in few.astype(int).tolist():
        path = dataset.get_data_info(index).get('seg_map_path') or f'sample {index}'
        try:
            loaded = dataset[index]
        except Exception as error:  # a user's transform may raise anything
            text = ': '.join(filter(None, (type(error).__name__, str(error))))
            yield Problem(
                f'the sample of {path} (validation) cannot be loaded: {text}',
                'correct the file, the transform or the package that this error names',
            )
            return
        sample: Any = loaded.get('data_samples') if isinstance(loaded, dict) else None
        if sample is None or 'gt_sem_seg' not in sample:
            return
        labels = np.unique(sample.gt_sem_seg.data)
        problem = LabelRule(num_classes, False).problem(labels)
        if problem:
            yield Problem(f'{path} (validation): {problem}', REMEDY)
            return
        values.update(labels.tolist())
    if num_classes > 1 and values == {0, IGNORE_INDEX}:
        binary = binary_mask(dataset)
        if binary is not None:
            yield Problem(
                f'masks of the validation contain the values 0 and {IGNORE_INDEX} '
                f'only, such as {binary}; {IGNORE_INDEX} is ignored',
                'store the second class as 1',
            )


def cuts_to_8_bits(step: Any) -> bool:
    """Return whether a transform is mmcv's loader, which silently keeps only 8 bits."""
    return type(step) is LoadImageFromFile and step.color_type != 'unchanged'


def _check_depth(infos: list[dict], steps: list, name: str) -> Iterator[Problem]:
    if not any(cuts_to_8_bits(step) for step in steps):
        return
    for info in infos:
        header = read_header(info.get('img_path') or '')
        if header is not None and header[1] > 8:
            yield Problem(
                f'{info["img_path"]} ({name}) has {header[1]} bits per channel, of '
                'which LoadImageFromFile keeps the upper 8',
                "set LoadImageStrict(color_type='unchanged'), and mean and std in the "
                'range of the files, or convert the files to 8 bits',
            )
            return


def _check_sizes(infos: list[dict], name: str, rotate: bool) -> Iterator[Problem]:
    for info in infos:
        path, mask = info.get('img_path') or '', info.get('seg_map_path') or ''
        image, label = read_header(path, rotate), read_header(mask, rotate=False)
        if image and label and image[0] != label[0]:
            if rotate and _upright_size(path) == label[0]:
                continue
            yield Problem(
                f'{mask} ({name}) is a mask of {label[0]}, its image {path} has '
                f'{image[0]} (height, width)',
                'replace the mask or the image; tools/misc/check_dataset.py lists all',
            )
            return
