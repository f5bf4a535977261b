"""Find and hash the masks that a training reads."""

import copy
import hashlib
import os
from collections.abc import Iterator
from typing import Any

from mmseg_wsss.datasets.semi_dataset import with_split_list
from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils import sha256_of
from mmseg_wsss.utils.configs import walk_dicts

from .setting import loads_gt, pipeline_owners


def mask_files(settings: Any) -> set[str]:
    """Return the mask files of every labeled part named in settings.

    Args:
        settings: Nested settings with configs of datasets, such as a config.
    """
    found: set[str] = set()
    for part in walk_dicts(settings):
        if part.get('type') and part.get('labeled'):
            labeled, split = part['labeled'], part.get('split')
            if split is not None:
                labeled = with_split_list('labeled', labeled, split)
            found.update(_mask_files(DATASETS.build(copy.deepcopy(labeled))))
    return found


def trained_mask_files(dataset: Any) -> set[str]:
    """Return the mask files that the config of a training set reads.

    These are the masks of labeled parts; without labeled parts, those of every dataset
    with a pipeline that loads masks.
    """
    found = mask_files(dataset)
    if not found:
        for owner in pipeline_owners(dataset):
            if any(map(loads_gt, walk_dicts(owner['pipeline']))):
                found.update(_mask_files(DATASETS.build(copy.deepcopy(owner))))
    return found


def masks_sha256(labeled: Any) -> str:
    """Return the SHA-256 of the mask files of a dataset, in its order.

    For files that are not local, such as ``s3://...``, the path is hashed.
    """
    total = hashlib.sha256()
    for path in _mask_files(labeled):
        total.update((sha256_of(path) if os.path.isfile(path) else path).encode())
    return total.hexdigest()


def _mask_files(dataset: Any) -> Iterator[str]:
    infos = (dataset.get_data_info(index) for index in range(len(dataset)))
    return (info['seg_map_path'] for info in infos if info.get('seg_map_path'))
