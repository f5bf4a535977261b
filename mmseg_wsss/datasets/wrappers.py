"""Dataset wrappers that decide which labels a training sample may carry."""

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS

from .deterministic_dataset import DeterministicDataset, views
from .sample_key import SampleKey
from .tags.image_tags import ImageTags


def foreground_classes(metainfo: dict) -> tuple[str, ...]:
    """Class names without the leading ``background``, where there is one."""
    classes = tuple(metainfo['classes'])
    return classes[1:] if classes[0] == 'background' else classes


@DATASETS.register_module()
class WeakDataset(DeterministicDataset):
    """Images and their image-level tags; masks never reach a training sample.

    Wraps any mmseg dataset. Its pipeline replaces that of the wrapped dataset and finds
    ``gt_tags`` (K,) among the results. While training, masks are hidden.

    Args:
        dataset: Any mmseg dataset, or its config; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: Where the tags come from: an :class:`ImageTags`, or the arguments of
            :meth:`ImageTags.load`, e.g. ``dict(path='tags.json')``, or
            ``dict(source='masks')`` to derive them from the masks of the dataset.
        test_mode: Keep the masks, for evaluation.
        max_refetch: How many other images are tried where the pipeline rejects one
            while training.

    Raises:
        ValueError: If the pipeline loads annotations in training, a file lies outside
            the data root, or an image has no entry among the tags.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[dict],
        tags: ImageTags | dict,
        test_mode: bool = False,
        max_refetch: int = 100,
    ) -> None:
        super().__init__(
            dataset,
            pipeline,
            hide_masks=not test_mode,
            max_refetch=0 if test_mode else max_refetch,
        )
        self.test_mode = test_mode
        self.tags = self._load_tags(tags)
        self.tags.check([self.name(i) for i in range(len(self))])

    def _load_tags(self, tags: ImageTags | dict) -> ImageTags:
        if isinstance(tags, ImageTags):
            return tags
        classes = foreground_classes(self._metainfo)
        options = dict(tags)
        if options.pop('source', 'file') != 'masks':
            names = [self.name(i) for i in range(len(self))]
            return ImageTags.load_for(names, classes=classes, **options)
        if self.dataset.label_map is not None:
            raise ValueError(
                'tags cannot be derived from the masks of a subset of the classes of '
                f'{type(self.dataset).__name__}; write a tag file with '
                'tools/dataset_converters/image_tags.py'
            )
        infos = [self.dataset.get_data_info(i) for i in range(len(self))]
        masks = {self.name(i): info['seg_map_path'] for i, info in enumerate(infos)}
        return ImageTags.from_masks(
            masks,
            classes,
            background=len(classes) < len(self._metainfo['classes']),
            reduce_zero_label=self.dataset.reduce_zero_label,
            **options,
        )

    def name(self, idx: int) -> str:
        """Path of an image below the image folder, without its suffix."""
        path = Path(self.dataset.get_data_info(idx)['img_path'])
        folder = Path(self.dataset.data_prefix['img_path'])
        if path.is_relative_to(folder):
            path = path.relative_to(folder)
        return path.with_suffix('').as_posix()

    def get_data_info(self, idx: int) -> dict:
        """Paths, name and tags of an image; no path of a mask while training."""
        info = super().get_data_info(idx)
        info['image_name'] = self.name(int(idx))
        info['gt_tags'] = self.tags.vector(info['image_name'])
        return info


@DATASETS.register_module()
class SemiDataset(Dataset):
    """Labeled images, and after them images whose masks are never opened.

    Either part is any mmseg dataset with a pipeline of its own; ``ImageFolder`` needs
    neither list nor masks. ``MultiSourceSampler`` draws from both. Source: mkd.md,
    sections 9.2 and 12; quirks 15 and 16.

    Args:
        labeled: Dataset or config of the images with masks.
        unlabeled: The same of the others. If it knows of masks, they are hidden.
        split: Folder with the lists ``labeled.txt`` and ``unlabeled.txt``, relative to
            ``data_root`` of the parts, which are configs without an ``ann_file`` then.
            One option selects another split: ``--cfg-options
            train_dataloader.dataset.split=FOLDER``.
        max_refetch: How many other images of a part are tried where its pipeline
            rejects one.

    Attributes:
        cumulative_sizes: Number of labeled images, and of all.

    Raises:
        ValueError: If a part is empty, a file lies outside its data root, the pipeline
            of ``unlabeled`` loads annotations, or a part has a list beside ``split``.
    """

    def __init__(
        self,
        labeled: BaseDataset | dict,
        unlabeled: BaseDataset | dict,
        split: str | None = None,
        max_refetch: int = 100,
    ) -> None:
        if split is not None:
            labeled = with_split_list('labeled', labeled, split)
            unlabeled = with_split_list('unlabeled', unlabeled, split)
        _refuse_empty_list('labeled', labeled)
        _refuse_empty_list('unlabeled', unlabeled)
        self.labeled = DeterministicDataset(labeled, max_refetch=max_refetch)
        self.unlabeled = DeterministicDataset(
            unlabeled, hide_masks=True, max_refetch=max_refetch
        )
        count = len(self.labeled)
        self.cumulative_sizes = [count, count + len(self.unlabeled)]

    @property
    def metainfo(self) -> dict:
        """Meta information of the labeled part."""
        return self.labeled.metainfo

    def full_init(self) -> None:
        """Nothing to do: both parts are initialized on construction."""

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _locate(self, idx: int) -> tuple[DeterministicDataset, int]:
        if not 0 <= idx < len(self):
            raise IndexError(f'image {idx} of {len(self)}')
        part = bisect_right(self.cumulative_sizes, idx)
        return (self.labeled, self.unlabeled)[part], idx - part * len(self.labeled)

    def get_data_info(self, idx: int) -> dict:
        """Paths of an image; no path of a mask for the unlabeled ones."""
        part, index = self._locate(int(idx))
        return part.get_data_info(index) | {'sample_idx': int(idx)}

    def __getitem__(self, idx: int) -> Any:
        part, index = self._locate(int(idx))
        if isinstance(idx, SampleKey):
            index = SampleKey(index, idx.seed, idx.number)
        sample = part[index]
        if part is self.labeled and any('gt_sem_seg' not in v for v in views(sample)):
            path = part.get_data_info(index)['img_path']
            raise RuntimeError(
                f'{path}: a labeled sample has no mask; its pipeline needs '
                'LoadAnnotationsStrict, and its dataset the path of masks'
            )
        return sample


def with_split_list(
    part: str, dataset: BaseDataset | dict, split: str
) -> dict[str, Any]:
    """Return the config of a part of a split, with its list as ``ann_file``.

    Args:
        part: ``'labeled'`` or ``'unlabeled'``.
        dataset: Config of an mmseg dataset without ``ann_file``.
        split: Folder of the lists.

    Raises:
        ValueError: If ``dataset`` is no config of a plain dataset or has a list.
    """
    if not isinstance(dataset, dict) or 'dataset' in dataset or 'datasets' in dataset:
        raise ValueError(
            f'SemiDataset: split={split!r} needs the config of a plain dataset as '
            f'{part}; give a wrapped one its ann_file instead of split'
        )
    if dataset.get('ann_file'):
        raise ValueError(
            f'SemiDataset: {part}.ann_file={dataset["ann_file"]!r} contradicts '
            f'split={split!r}; remove one of them'
        )
    return {**dataset, 'ann_file': os.path.join(split, f'{part}.txt')}


def _refuse_empty_list(name: str, dataset: BaseDataset | dict) -> None:
    """Name an empty split list, which MMEngine's serialization stumbles over."""
    if not isinstance(dataset, dict) or not dataset.get('ann_file'):
        return
    path = Path(os.path.join(dataset.get('data_root') or '', dataset['ann_file']))
    if path.is_file() and not path.read_text(encoding='utf-8').strip():
        raise ValueError(f'SemiDataset: {name} has no image: {path} is empty')
