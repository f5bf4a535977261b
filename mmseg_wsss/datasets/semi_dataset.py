import os
from bisect import bisect_right
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS

from .deterministic_dataset import DeterministicDataset
from .inner_dataset import views_of
from .sample_key import SampleKey
from .start_checks import refuse_binary_masks


@DATASETS.register_module()
class SemiDataset(Dataset):
    """Labeled images, followed by unlabeled images; masks of the latter stay closed.

    Each part is an mmseg dataset with its own pipeline, also inside MMEngine's
    ``ConcatDataset`` or ``RepeatDataset``; ``ImageFolder`` needs neither a list nor
    masks. Its own ``__getitem__``, ``prepare_data`` and ``get_data_info`` are called;
    see :class:`DeterministicDataset`. ``MultiSourceSampler`` draws from both parts.

    Args:
        labeled: Dataset, or its config, of the images with masks.
        unlabeled: Dataset, or its config, of the unlabeled images. Paths of masks are
            removed from its samples.
        split: Folder with the lists ``labeled.txt`` and ``unlabeled.txt``, relative to
            ``data_root`` of the parts, which are configs without ``ann_file`` in this
            case. One option selects another split: ``--cfg-options
            train_dataloader.dataset.split=FOLDER``.

    Attributes:
        cumulative_sizes: Number of labeled images, and of all images.

    Raises:
        FileNotFoundError: If a list of ``split`` does not exist.
        ValueError: If a part is empty, a file lies outside its data root, the pipeline
            of ``unlabeled`` loads annotations, a part has a list beside ``split``, or
            the masks contain no values but 0 and 255.
    """

    def __init__(
        self,
        labeled: BaseDataset | dict,
        unlabeled: BaseDataset | dict,
        split: str | None = None,
    ) -> None:
        if split is not None:
            labeled = with_split_list('labeled', labeled, split)
            unlabeled = with_split_list('unlabeled', unlabeled, split)
            _require_lists(labeled, unlabeled)
        _refuse_empty_list('labeled', labeled)
        _refuse_empty_list('unlabeled', unlabeled)
        self.labeled = DeterministicDataset(labeled)
        self.unlabeled = DeterministicDataset(unlabeled, hide_masks=True)
        refuse_binary_masks(self.labeled)
        count = len(self.labeled)
        self.cumulative_sizes = [count, count + len(self.unlabeled)]

    @property
    def metainfo(self) -> dict:
        """Meta information of the labeled part."""
        return self.labeled.metainfo

    def full_init(self) -> None:
        """Do nothing: both parts are initialized on construction."""

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _locate(self, idx: int) -> tuple[DeterministicDataset, int]:
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is outside [0, {len(self)})')
        part = bisect_right(self.cumulative_sizes, idx)
        return (self.labeled, self.unlabeled)[part], idx - part * len(self.labeled)

    def get_data_info(self, idx: int) -> dict:
        """Return the paths of an image; no mask path for unlabeled images."""
        part, index = self._locate(int(idx))
        return part.get_data_info(index) | {'sample_idx': int(idx)}

    def __getitem__(self, idx: int) -> Any:
        part, index = self._locate(int(idx))
        if isinstance(idx, SampleKey):
            index = SampleKey(index, idx.seed, idx.number)
        sample = part[index]
        if part is self.labeled and any(
            'gt_sem_seg' not in v for v in views_of(sample)
        ):
            path = part.get_data_info(index)['img_path']
            raise RuntimeError(
                f'{path}: a labeled sample has no mask; add LoadAnnotationsStrict to '
                'its pipeline and seg_map_path to the data_prefix of its dataset'
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
        ValueError: If ``dataset`` is not the config of a plain dataset, or it has a
            list already.
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


def _require_lists(*parts: dict) -> None:
    """Report a missing list of a split, for which mmseg has a bare assertion."""
    for part in parts:
        root = part.get('data_root') or ''  # empty: the class may have a default
        path = os.path.join(root, part['ann_file'])
        if root and '://' not in path and not os.path.exists(path):
            raise FileNotFoundError(
                f'SemiDataset: {path} does not exist; draw or import the split with '
                'tools/dataset_converters/semi_splits.py, or correct split'
            )


def _refuse_empty_list(name: str, dataset: BaseDataset | dict) -> None:
    """Report an empty split list, on which MMEngine's serialization fails."""
    if not isinstance(dataset, dict):
        return
    for part in (*dataset.get('datasets', ()), dataset.get('dataset')):
        _refuse_empty_list(name, part)
    if not dataset.get('ann_file'):
        return
    path = Path(os.path.join(dataset.get('data_root') or '', dataset['ann_file']))
    if path.is_file() and not path.read_text(encoding='utf-8-sig').strip():
        raise ValueError(f'SemiDataset: the list of {name} images {path} is empty')
