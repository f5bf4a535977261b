"""Select the images of a training set that have no given mask."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg_wsss.datasets.semi_dataset import with_split_list

from .setting import pipeline_owners


def unmasked_images(
    dataset: Mapping[str, Any], pipeline: Sequence[dict] | None = None
) -> dict[str, Any]:
    """Return the config of the images without given masks.

    For a ``SemiDataset`` these are the images of ``tagged`` and ``unlabeled``, for any
    other dataset all images.

    Args:
        dataset: Config of a dataset.
        pipeline: Pipeline that replaces the dataset's pipelines; None keeps them.
    """
    found = copy.deepcopy(dict(dataset))
    if 'labeled' in found:
        names = [name for name in ('tagged', 'unlabeled') if found.get(name)]
        split = found.get('split')
        parts = [dict(found[name]) for name in names]
        if split:
            parts = [with_split_list(*part, split) for part in zip(names, parts)]
        found = {'type': 'ConcatDataset', 'datasets': parts}
        if len(parts) == 1:
            (found,) = parts
    if pipeline is not None:
        for owner in pipeline_owners(found):
            owner['pipeline'] = copy.deepcopy(pipeline)
    return found


def unmasked_pipelines(dataset: Any) -> Iterator[Sequence[dict]]:
    """Yield the outermost pipelines of a dataset, except those of labeled parts."""
    if isinstance(dataset, list | tuple):
        for part in dataset:
            yield from unmasked_pipelines(part)
    elif isinstance(dataset, Mapping):
        if dataset.get('pipeline'):
            yield dataset['pipeline']
        else:
            parts = [part for name, part in dataset.items() if name != 'labeled']
            yield from unmasked_pipelines(parts)
