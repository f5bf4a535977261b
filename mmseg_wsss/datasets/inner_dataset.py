"""Read an mmseg dataset through its own methods, with another pipeline.

A project may override ``__getitem__``, ``prepare_data`` or ``get_data_info``, e.g. to
remap labels. These methods are written for the samples of mmseg, one image with one
data sample, and are called once for each view of a multi-branch sample.
"""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from mmengine.dataset import BaseDataset, Compose, ConcatDataset, RepeatDataset
from mmengine.structures import PixelData

from .sample_key import random_states, restore_states

# Errors of methods that do not expect a sample without a mask.
ERRORS = (AttributeError, IndexError, KeyError, TypeError)


class RejectedImageError(Exception):
    """The pipeline returned None for an image."""


@dataclass
class _Access:
    """State of one access to a dataset, shared with its pipelines.

    Args:
        index: Index of the image.
        key: Seed and number of the draw.
        calls: One entry per call of a pipeline: the views of its sample, and the
            random states after it.
        fields: Names of the branches, with and without a view.
        branch: Branch whose recorded views are returned; None runs the pipeline.
        position: Number of recorded calls that were returned for the branch.
    """

    index: int
    key: tuple[int, ...]
    calls: list[tuple[dict, Any]] = field(default_factory=list)
    fields: tuple[str, ...] = ()
    branch: str | None = None
    position: int = 0


class InnerDataset:
    """Shallow copy of an mmseg dataset with other pipelines.

    Args:
        dataset: An mmseg dataset, also inside MMEngine's ``ConcatDataset`` or
            ``RepeatDataset``.
        pipeline: The pipeline; None keeps those of the dataset.
        complete: Function of data information, index and sample key that returns the
            input of the pipeline.
        hide_masks: Whether to hide the paths of masks from the methods of the dataset.
            Overridden methods get a label map of ignored pixels, which is removed
            afterwards.

    Attributes:
        parts: The datasets inside the wrappers, without paths of hidden masks.
        pipelines: The pipeline of each of them.
        owner: Name of a class that overrides methods, empty if there is none.

    Raises:
        TypeError: If a wrapper is not supported, or the object is not an mmseg dataset.
    """

    def __init__(
        self,
        dataset: Any,
        pipeline: Compose | None,
        complete: Callable[[dict, int, tuple[int, ...]], dict],
        hide_masks: bool,
    ) -> None:
        parts = inner_datasets(dataset)
        self.pipelines = [pipeline or part.pipeline for part in parts]
        self.owner = next(_classes_with_own_methods(dataset), '')
        self.complete = complete
        self.hide_masks = hide_masks
        self.access = _Access(0, ())
        dataset.full_init()
        self.dataset = self._copy(dataset, iter(self.pipelines))
        self.parts = inner_datasets(self.dataset)

    def _copy(self, dataset: Any, pipelines: Iterator[Any]) -> Any:
        clone = copy(dataset)
        if isinstance(dataset, ConcatDataset):
            clone.datasets = [self._copy(part, pipelines) for part in dataset.datasets]
        elif isinstance(dataset, RepeatDataset):
            clone.dataset = self._copy(dataset.dataset, pipelines)
        else:
            clone.pipeline = _Pipeline(self, next(pipelines))
            if self.hide_masks:
                clone.data_prefix = dict(dataset.data_prefix)
                clone.data_prefix.pop('seg_map_path', None)
                clone.get_data_info = partial(_info_without_mask, _stripped(dataset))
        return clone

    def __len__(self) -> int:
        return len(self.dataset)

    def get_data_info(self, index: int) -> dict:
        """Return the information of an image; no mask path if masks are hidden."""
        return self.dataset.get_data_info(index)

    def read(self, index: int, key: tuple[int, ...] = ()) -> dict:
        """Return a sample.

        Args:
            index: Index of the image.
            key: Seed and number of the draw, for transforms that need them.

        Raises:
            RejectedImageError: If the pipeline returned None.
            TypeError, RuntimeError: If methods of the dataset do not run the pipeline,
                or cannot process a sample; the message names the class.
        """
        access = self.access = _Access(index, key)
        states = random_states()
        sample = self._call(index)
        if not access.calls:
            names = ', '.join(dict.fromkeys(type(part).__name__ for part in self.parts))
            raise TypeError(
                f'{names}: __getitem__ or prepare_data does not run self.pipeline, so '
                'that neither augmentation nor hidden masks are ensured; let it change '
                'the result of super().__getitem__(idx)'
            )
        views = access.calls[0][0]
        if not views:  # no method is overridden
            return sample
        found = {next(iter(views)): sample}
        for access.branch in list(views)[1:]:
            access.position = 0
            restore_states(states)
            found[access.branch] = self._call(index)
        return self._merge(found)

    def _call(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except ERRORS as error:
            if not (self.owner and self.access.calls):
                raise  # by a transform, or by methods of mmseg
            path = self.get_data_info(index)['img_path']
            what = 'a sample with a hidden mask' if self.hide_masks else 'a sample'
            raise RuntimeError(
                f'{path}: {self.owner}.__getitem__ or prepare_data cannot process '
                f'{what}: {type(error).__name__}: {error}; it gets one image and one '
                'data sample, with labels of 255 in place of a hidden mask'
            ) from error

    def _merge(self, views: dict[str, Any]) -> dict:
        """Check and combine the views of a sample; remove hidden labels."""
        for view in views.values():
            if not isinstance(view, dict) or not {'inputs', 'data_samples'} <= {*view}:
                found = list(view) if isinstance(view, dict) else type(view).__name__
                raise TypeError(
                    f'{self.owner}.__getitem__: expected a dict with inputs and '
                    f'data_samples, got {found}'
                )
            if self.hide_masks and 'gt_sem_seg' in view['data_samples']:
                del view['data_samples'].gt_sem_seg
        fields = self.access.fields
        if not fields:
            return views['']
        none: dict[str, Any] = {}
        return {
            key: {name: views.get(name, none).get(key) for name in fields}
            for key in ('inputs', 'data_samples')
        }


def with_masks(dataset: Any) -> InnerDataset:
    """Return an mmseg dataset that delivers its images with masks, not augmented.

    Its data samples have the labels of training and evaluation, which may differ from
    the labels in the files: ``reduce_zero_label``, a subset of the classes, or a custom
    dataset class may change them.
    """
    types = ('LoadImageFromFile', 'LoadAnnotationsStrict', 'PackSegInputs')
    steps = Compose([{'type': name} for name in types])
    return InnerDataset(dataset, steps, lambda info, *_: info, hide_masks=False)


class _Pipeline(Compose):
    """Pipeline of an inner dataset: completes its samples and hands out their views.

    Args:
        inner: The dataset that holds it.
        steps: The pipeline.
    """

    def __init__(self, inner: InnerDataset, steps: Any) -> None:
        super().__init__(None)
        self.transforms = getattr(steps, 'transforms', [])
        self.inner = inner
        self.steps = steps

    def __call__(self, data: dict) -> Any:
        access = self.inner.access
        if access.branch is not None:
            views, states = access.calls[access.position]
            access.position += 1
            restore_states(states)
            return views[access.branch]
        info = self.inner.complete(data, access.index, access.key)
        path = info['img_path']
        sample = self.steps(info)
        if sample is None:
            raise RejectedImageError
        if not self.inner.owner or 'data_samples' not in sample:
            access.calls.append(({}, None))
            return sample
        views = self._split(sample, path)
        access.calls.append((views, random_states()))
        return next(iter(views.values()))

    def _split(self, sample: dict, path: str) -> dict[str, dict]:
        """Return the views of a sample by branch; '' if it has no branches."""
        views = {'': sample}
        if isinstance(sample['data_samples'], dict):
            self.inner.access.fields = tuple(sample['data_samples'])
            views = {
                name: {key: sample[key][name] for key in ('inputs', 'data_samples')}
                for name, view in sample['data_samples'].items()
                if view is not None
            }
        for view in views.values() if self.inner.hide_masks else ():
            refuse_mask(view['data_samples'], path)
            size = (1, *view['inputs'].shape[-2:])
            labels = torch.full(size, 255, dtype=torch.int64)
            view['data_samples'].gt_sem_seg = PixelData(data=labels)
        return views


def inner_datasets(dataset: Any) -> list[Any]:
    """Return the datasets inside ``ConcatDataset`` and ``RepeatDataset``.

    Raises:
        TypeError: If there is another wrapper, or an object is not an mmseg dataset.
    """
    if isinstance(dataset, ConcatDataset):
        return [leaf for part in dataset.datasets for leaf in inner_datasets(part)]
    if isinstance(dataset, RepeatDataset):
        return inner_datasets(dataset.dataset)
    if not isinstance(dataset, BaseDataset):
        raise TypeError(
            f'cannot wrap {type(dataset).__name__}: expected an mmseg dataset '
            '(BaseSegDataset), ConcatDataset or RepeatDataset'
        )
    return [dataset]


def _classes_with_own_methods(dataset: Any) -> Iterator[str]:
    """Yield the names of classes that override how samples are delivered."""
    kind = type(dataset)
    wrappers = (ConcatDataset, RepeatDataset)
    base = next((w for w in wrappers if isinstance(dataset, w)), BaseDataset)
    for name in ('__getitem__', 'prepare_data'):
        if getattr(kind, name, None) is not getattr(base, name, None):
            yield kind.__name__
    parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in parts if base is not BaseDataset else ():
        yield from _classes_with_own_methods(part)


def views_of(sample: dict) -> list[Any]:
    """Return the data samples of a sample, one per branch if it has branches."""
    found = sample['data_samples']
    if isinstance(found, dict):
        return [part for part in found.values() if part is not None]
    return [found]


def images_of(sample: dict) -> list[Any]:
    """Return the images of a sample in the order of :func:`views_of`."""
    found = sample.get('inputs')
    if isinstance(found, dict):
        return [part for part in found.values() if part is not None]
    return [found]


def refuse_mask(data_sample: Any, path: str) -> None:
    """Check that a data sample has no mask."""
    if 'gt_sem_seg' in data_sample:
        raise RuntimeError(
            f'{path}: a mask reached an unlabeled sample; remove the transform that '
            'adds gt_seg_map from the pipeline'
        )


def _stripped(dataset: Any) -> Any:
    """Return a dataset with a ``get_data_info`` that returns no mask path."""
    if type(dataset).get_data_info is BaseDataset.get_data_info:
        return dataset
    clone = copy(dataset)
    clone.serialize_data = False
    clone.data_list = []
    for index in range(len(dataset)):
        info = BaseDataset.get_data_info(dataset, index)
        info.pop('sample_idx', None)
        info.pop('seg_map_path', None)
        clone.data_list.append(info)
    return clone


def _info_without_mask(dataset: Any, index: int) -> dict:
    try:
        info = dataset.get_data_info(index)
    except KeyError as error:
        if error.args != ('seg_map_path',):
            raise
        raise RuntimeError(
            f'{type(dataset).__name__}.get_data_info needs seg_map_path, which is '
            'hidden in weak supervision and from unlabeled images; use info.get(...)'
        ) from error
    info.pop('seg_map_path', None)
    return info
