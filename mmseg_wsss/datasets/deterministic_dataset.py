import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from mmcv.transforms import BaseTransform, LoadAnnotations
from mmengine.dataset import BaseDataset, Compose
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS
from mmseg_wsss.utils.files import inside

from .sample_key import SampleKey, seeded

MAX_REFETCH = 100  # images tried after one that the pipeline rejects


@DATASETS.register_module()
class DeterministicDataset(Dataset):
    """An mmseg dataset with augmentation seeded from the :class:`SampleKey`.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``.
        pipeline: Transforms; by default the pipeline of the dataset.
        hide_masks: Remove the path of the mask from every sample before the pipeline
            runs, so that no transform can load it.
        refetch: Whether an image that the pipeline rejects is replaced by one of the
            next 100; otherwise it raises an error.

    Raises:
        ValueError: If a file lies outside the data root, masks are hidden and the
            pipeline loads them, or concatenated datasets have different pipelines.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[Any] | None = None,
        hide_masks: bool = False,
        refetch: bool = True,
    ) -> None:
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.parts = inner_datasets(self.dataset)
        self.pipeline = (
            self._inner_pipeline() if pipeline is None else Compose(pipeline)
        )
        self.hide_masks = hide_masks
        self.attempts = 1 + MAX_REFETCH * refetch
        if hide_masks:
            self._refuse_mask_loaders()
        self.dataset.full_init()
        self._metainfo = dict(self.dataset.metainfo)
        self._refuse_foreign_files()

    def _inner_pipeline(self) -> Compose:
        pipelines = [part.pipeline for part in self.parts]
        if len({repr(pipeline) for pipeline in pipelines}) > 1:
            raise ValueError(
                f'{type(self.dataset).__name__}: the concatenated datasets have '
                'different pipelines; give all of them the same'
            )
        return pipelines[0]

    def _refuse_mask_loaders(self) -> None:
        for step in _steps(self.pipeline):
            if isinstance(step, LoadAnnotations):
                raise ValueError(
                    f'the training pipeline of a {type(self).__name__} of '
                    f'{type(self.dataset).__name__} contains {type(step).__name__}: '
                    'masks must not reach training; remove that transform'
                )

    def _refuse_foreign_files(self) -> None:
        """Check that no line of a split list leaves the data root."""
        for part in self.parts:
            infos = [part.get_data_info(i) for i in range(len(part))]
            for key, folder in part.data_prefix.items():
                root = part.data_root
                if not root or (folder and not _is_inside(root, folder)):
                    root = folder
                for path in [info.get(key) for info in infos] if root else ():
                    if path and not _is_inside(root, path):
                        raise ValueError(
                            f'{path} leaves the data root {root}; correct its line in '
                            f'{part.ann_file or "the data set"}'
                        )

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
        info = self.dataset.get_data_info(int(idx))
        if self.hide_masks:
            info.pop('seg_map_path', None)
        info['sample_idx'] = int(idx)
        return info

    def __getitem__(self, idx: int) -> Any:
        key = (idx.seed, idx.number) if isinstance(idx, SampleKey) else ()
        with seeded(*key) if key else nullcontext():
            return self._sample(int(idx), key)

    def _sample(self, idx: int, key: tuple[int, ...]) -> Any:
        for offset in range(self.attempts):
            info = self.get_data_info((idx + offset) % len(self))
            path = info['img_path']
            sample = self.pipeline(info | {'sample_key': key})
            if sample is None:
                continue
            if self.hide_masks and any('gt_sem_seg' in s for s in views(sample)):
                raise RuntimeError(
                    f'{path}: a mask reached an unlabeled sample; remove the transform '
                    'that adds gt_seg_map from the pipeline'
                )
            return sample
        path = self.get_data_info(idx)['img_path']
        raise RuntimeError(
            f'the pipeline rejected {path} and the {self.attempts - 1} images after it'
        )


def inner_datasets(dataset: Any) -> list[Any]:
    """Return the datasets inside wrappers such as ``ConcatDataset``."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner == [None]:
        return [dataset]
    return [leaf for part in inner for leaf in inner_datasets(part)]


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


def views(sample: dict) -> list[Any]:
    """Return the data samples of a sample, one per branch if it has branches."""
    found = sample['data_samples']
    if isinstance(found, dict):
        return [part for part in found.values() if part is not None]
    return [found]


def _is_inside(root: str, path: str) -> bool:
    try:
        inside(root, os.path.abspath(path))
    except ValueError:
        return False
    return True
