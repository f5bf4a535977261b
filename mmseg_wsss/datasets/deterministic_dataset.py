import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from mmcv.transforms import BaseTransform, LoadAnnotations
from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS

from .image_name import image_name
from .inner_dataset import (
    InnerDataset,
    RejectedImageError,
    images_of,
    refuse_mask,
    views_of,
)
from .sample_key import SampleKey, seeded
from .start_checks import check_ignored, check_labels, check_list, check_paths

MAX_REFETCH = 100  # images tried after one that the pipeline rejects


@DATASETS.register_module()
class DeterministicDataset(Dataset):
    """Wrapper that seeds the augmentation of an mmseg dataset from :class:`SampleKey`.

    Samples are read through the methods of the dataset: an overridden ``__getitem__``,
    ``prepare_data`` or ``get_data_info`` takes effect. It is called for each view of a
    multi-branch sample, and gets a label map of 255 if masks are hidden. The input of
    the pipeline contains ``image_name``, as in tag files and exports.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``.
        pipeline: Transforms; by default the pipeline of the dataset.
        hide_masks: Whether to remove the path of the mask from every sample before the
            pipeline runs, so that no transform can load it.
        refetch: Whether to replace an image that the pipeline rejects by one of the
            next 100; otherwise it raises a RuntimeError.

    Raises:
        FileNotFoundError: If the split list does not exist.
        TypeError: If the dataset is in another wrapper.
        ValueError: If there is no image, a file lies outside the data root, a line of a
            split list is not a name, masks are hidden and the pipeline loads them, or
            concatenated datasets with masks ignore different values.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[Any] | None = None,
        hide_masks: bool = False,
        refetch: bool = True,
    ) -> None:
        if isinstance(dataset, dict):
            check_list(dataset)
            dataset = DATASETS.build(dataset)
        self.dataset = dataset
        self.hide_masks = hide_masks
        steps = None if pipeline is None else Compose(pipeline)
        self.inner = InnerDataset(self.dataset, steps, self._complete, hide_masks)
        self.parts = self.inner.parts
        self.attempts = 1 + MAX_REFETCH * refetch
        if hide_masks:
            self._refuse_mask_loaders()
        else:
            check_ignored(self.parts)
        self._metainfo = dict(self.dataset.metainfo)
        self.img_paths = [check_paths(part) for part in self.parts]
        folders = [part.data_prefix.get('img_path') for part in self.parts]
        self.folders = [folder for folder in dict.fromkeys(folders) if folder]

    def _refuse_mask_loaders(self) -> None:
        for step in _steps(self.inner.pipelines):
            if isinstance(step, LoadAnnotations):
                raise ValueError(
                    f'the training pipeline of a {type(self).__name__} of '
                    f'{type(self.dataset).__name__} contains {type(step).__name__}: '
                    'masks must not reach training; remove that transform'
                )

    @property
    def pipeline(self) -> Any:
        """Pipeline of the dataset; of the first one if several are concatenated."""
        return self.inner.pipelines[0]

    @property
    def metainfo(self) -> dict:
        """Meta information of the wrapped dataset."""
        return dict(self._metainfo)

    def full_init(self) -> None:
        """Do nothing: the wrapped dataset is initialized on construction."""

    def __len__(self) -> int:
        return len(self.dataset)

    def get_data_info(self, idx: int) -> dict:
        """Return the paths of an image; no mask path if masks are hidden."""
        return self._complete(self.inner.get_data_info(int(idx)), int(idx))

    def _complete(
        self, info: dict, idx: int, key: tuple[int, ...] | None = None
    ) -> dict:
        """Return the input of the pipeline; without a key, what users may see of it."""
        name = self._name_of(info['img_path'])
        info = {**info, 'sample_idx': idx, 'image_name': name}
        if self.hide_masks:
            info.pop('seg_map_path', None)
        return info if key is None else {**info, 'sample_key': key}

    def __getitem__(self, idx: int) -> Any:
        if not -len(self) <= idx < len(self):
            raise IndexError(f'index {idx} is outside [0, {len(self)})')
        key = (idx.seed, idx.number) if isinstance(idx, SampleKey) else ()
        with seeded(*key) if key else nullcontext():
            return self._sample(int(idx), key)

    def _sample(self, idx: int, key: tuple[int, ...]) -> Any:
        for offset in range(self.attempts):
            index = (idx + offset) % len(self)
            try:
                sample = self.inner.read(index, key)
            except RejectedImageError:
                continue
            for view, img in zip(views_of(sample), images_of(sample)):
                path = getattr(view, 'img_path', None) or self._path(index)
                if self.hide_masks:
                    refuse_mask(view, path)
                else:
                    check_labels(view, path, self.parts[0], img)
            return sample
        raise RuntimeError(
            f'the pipeline rejected {self._path(idx)} and the {self.attempts - 1} '
            'images after it'
        )

    @property
    def names(self) -> dict[str, str]:
        """Names of all images by the paths of their files."""
        return {path: self._name_of(path) for part in self.img_paths for path in part}

    def name(self, idx: int) -> str:
        """Return the path of an image below the image folder, without suffix."""
        return self._name_of(self.inner.get_data_info(idx)['img_path'])

    def _name_of(self, path: str) -> str:
        found = (f for f in self.folders if path.startswith(os.path.join(f, '')))
        return image_name(path, next(found, None))

    def _path(self, idx: int) -> str:
        return self.get_data_info(idx)['img_path']


def _steps(step: Any) -> Iterator[Any]:
    """Yield a transform and all transforms inside it: branches, choices, lists."""
    yield step
    inner: Iterable[Any] = ()
    if isinstance(step, BaseTransform | Compose):
        inner = vars(step).values()
    elif isinstance(step, dict):
        inner = step.values()
    elif isinstance(step, list | tuple):
        inner = step
    for part in inner:
        yield from _steps(part)
