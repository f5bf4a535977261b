"""Dataset wrappers that decide which labels a training sample may carry."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mmcv.transforms import LoadAnnotations
from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS, TRANSFORMS
from mmseg_wsss.utils.files import inside

from .draws import Draw, seeded
from .image_tags import ImageTags


def foreground_classes(metainfo: dict) -> tuple[str, ...]:
    """Class names without the leading ``background``, where there is one."""
    classes = tuple(metainfo['classes'])
    return classes[1:] if classes[0] == 'background' else classes


@DATASETS.register_module()
class WeakDataset(Dataset):
    """Pictures and their image-level tags; masks never reach a training sample.

    Wraps any mmseg dataset. Its pipeline replaces that of the wrapped dataset and finds
    ``gt_tags`` (K,) among the results. While training, the path of the mask is taken
    out before the pipeline runs, so that no transform can load it.

    Args:
        dataset: Any mmseg dataset, or its config; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: Where the tags come from: an :class:`ImageTags`, or the arguments of
            :meth:`ImageTags.load`, e.g. ``dict(path='tags.json')``, or
            ``dict(source='masks')`` to derive them from the masks of the dataset.
        test_mode: Keep the masks, for evaluation.
        max_refetch: How many other pictures are tried where the pipeline rejects one.

    Raises:
        ValueError: If the pipeline loads annotations in training, a file lies outside
            the data root, or a picture has no entry among the tags.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[dict],
        tags: ImageTags | dict,
        test_mode: bool = False,
        max_refetch: int = 100,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        if not test_mode:
            self._refuse_masks(pipeline)
        self.pipeline = Compose(pipeline)
        self.dataset.full_init()
        self._metainfo = dict(self.dataset.metainfo)
        self._refuse_foreign_files()
        self.tags = self._load_tags(tags)
        self.tags.check([self.name(i) for i in range(len(self))])

    @staticmethod
    def _refuse_masks(pipeline: Sequence[dict]) -> None:
        for step in pipeline:
            kind = step['type'] if isinstance(step, dict) else type(step)
            loader = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
            if isinstance(loader, type) and issubclass(loader, LoadAnnotations):
                raise ValueError(
                    'the training pipeline of a WeakDataset contains '
                    f'{loader.__name__}: masks must not reach weakly supervised '
                    'training; remove that step'
                )

    def _refuse_foreign_files(self) -> None:
        """Check that no line of a split list leads out of the data root."""
        infos = [self.dataset.get_data_info(i) for i in range(len(self))]
        for key, folder in self.dataset.data_prefix.items():
            root = self.dataset.data_root
            if not root or (folder and not _is_inside(root, folder)):
                root = folder
            for path in [info.get(key) for info in infos] if root else ():
                if path and not _is_inside(root, path):
                    raise ValueError(
                        f'{path} leaves the data root {root}; correct its line in '
                        f'{self.dataset.ann_file or "the data set"}'
                    )

    def _load_tags(self, tags: ImageTags | dict) -> ImageTags:
        if isinstance(tags, ImageTags):
            return tags
        classes = foreground_classes(self._metainfo)
        options = dict(tags)
        if options.pop('source', 'file') != 'masks':
            return ImageTags.load(classes=classes, **options)
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

    @property
    def metainfo(self) -> dict:
        """Meta information of the wrapped dataset."""
        return dict(self._metainfo)

    def full_init(self) -> None:
        """Nothing to do: the wrapped dataset is initialised on construction."""

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, idx: int) -> str:
        """Path of a picture below the picture folder, without its suffix."""
        path = Path(self.dataset.get_data_info(idx)['img_path'])
        folder = Path(self.dataset.data_prefix['img_path'])
        if path.is_relative_to(folder):
            path = path.relative_to(folder)
        return path.with_suffix('').as_posix()

    def get_data_info(self, idx: int) -> dict:
        """Paths and tags of a picture; no path of a mask while training."""
        info = self.dataset.get_data_info(int(idx))
        if not self.test_mode:
            info.pop('seg_map_path', None)
        info['gt_tags'] = self.tags.vector(self.name(int(idx)))
        info['sample_idx'] = int(idx)
        return info

    def __getitem__(self, idx: int) -> Any:
        key = (idx.seed, idx.number) if isinstance(idx, Draw) else ()
        with seeded(*key) if key else nullcontext():
            return self._sample(int(idx), key)

    def _sample(self, idx: int, draw: tuple[int, ...]) -> Any:
        for shift in range(self.max_refetch + 1):
            info = self.get_data_info((idx + shift) % len(self))
            sample = self.pipeline(info | {'draw': draw})
            if sample is None and not self.test_mode:
                continue
            break
        if sample is None:
            path = self.get_data_info(idx)['img_path']
            raise RuntimeError(f'the pipeline rejected {path} and what was tried next')
        if not self.test_mode and 'gt_sem_seg' in sample['data_samples']:
            raise RuntimeError(
                f'{sample["data_samples"].img_path}: a mask reached a weakly '
                'supervised training sample'
            )
        return sample


def _is_inside(root: str, path: str) -> bool:
    try:
        inside(root, os.path.abspath(path))
    except ValueError:
        return False
    return True
