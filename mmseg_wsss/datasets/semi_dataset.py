import filecmp
import logging
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from torch.utils.data import Dataset

from mmseg_wsss.registry import DATASETS

from .deterministic_dataset import DeterministicDataset
from .image_name import foreground_classes, tag_key
from .inner_dataset import views_of
from .sample_key import SampleKey
from .start_checks import refuse_binary_masks
from .tagged_dataset import TaggedDataset


@DATASETS.register_module()
class SemiDataset(Dataset):
    """Labeled images, then images with tags, then unlabeled images.

    Only the masks of labeled images are read. Each part is an mmseg dataset with its
    own pipeline, also inside MMEngine's ``ConcatDataset`` or ``RepeatDataset``;
    ``ImageFolder`` needs neither a list nor masks. The methods ``__getitem__``,
    ``prepare_data`` and ``get_data_info`` of the part are called; see
    :class:`DeterministicDataset`. ``MultiSourceSampler`` draws from every part.

    With ``tags``, samples have ``gt_tags`` (K,). Every image of ``tagged`` needs an
    entry. Without this part, images of ``unlabeled`` may have entries: one folder and
    a tag file for some of its images suffice. Tags of labeled images are derived from
    their masks.

    Args:
        labeled: Dataset, or its config, of the images with masks.
        unlabeled: Dataset, or its config, of the unlabeled images. Paths of masks are
            removed from its samples.
        split: Folder with the lists ``labeled.txt``, ``unlabeled.txt`` and
            ``tagged.txt`` of the parts, relative to their ``data_root``; the parts must
            then be configs without ``ann_file``. One option selects another split:
            ``--cfg-options train_dataloader.dataset.split=FOLDER``.
        tagged: Dataset, or its config, of the images with tags but no masks, which may
            replace ``unlabeled``. The paths of masks are removed, too.
        tags: Arguments of :meth:`ImageTags.load`, e.g. ``dict(path='tags.csv')``.
        labeled_tags: Source of the tags of the labeled images, in the form of ``tags``;
            their masks by default.

    Attributes:
        labeled, tagged, unlabeled: The parts, None if missing.
        parts: The parts by their names, in the order of the samples.
        cumulative_sizes: Index after the last image of each part.

    Raises:
        FileNotFoundError: If a list of ``split`` does not exist.
        ValueError: If a part is missing or empty, a file lies outside its data root, a
            pipeline of images without masks loads annotations, a part has a list in
            addition to ``split``, the masks contain only 0 and 255, or the tags are
            wrong, would be derived from masks that must not be read, or are those of
            another image of the same name.
    """

    def __init__(
        self,
        labeled: BaseDataset | dict,
        unlabeled: BaseDataset | dict | None = None,
        split: str | None = None,
        tagged: BaseDataset | dict | None = None,
        tags: dict | None = None,
        labeled_tags: dict | None = None,
    ) -> None:
        given = {'labeled': labeled, 'tagged': tagged, 'unlabeled': unlabeled}
        _check_sources(given, tags)
        sources = {'split': split, 'tags': tags, 'labeled_tags': labeled_tags}
        parts = parts_of_semi(given | sources)
        self.labeled = _build_part(*parts.pop('labeled'))
        classes = self.labeled.metainfo['classes']
        self.parts = {'labeled': self.labeled}
        for name, (config, source) in parts.items():
            partial = name == 'unlabeled'
            self.parts[name] = _build_part(config, source, classes, partial)
        self.tagged = self.parts.get('tagged')
        self.unlabeled = self.parts.get('unlabeled')
        for part in (self.tagged, self.unlabeled):
            _refuse_shared_entries(self.labeled, part)
        if self.tagged is not None and self.unlabeled is not None:
            _report_unused_entries(self.tagged, self.unlabeled)
        refuse_binary_masks(self.labeled)
        self.cumulative_sizes = list(accumulate(map(len, self.parts.values())))

    @property
    def metainfo(self) -> dict:
        """Meta information of the labeled part."""
        return self.labeled.metainfo

    @property
    def has_tags(self) -> bool:
        """Whether any image has tags."""
        return any(isinstance(part, TaggedDataset) for part in self.parts.values())

    def full_init(self) -> None:
        """Do nothing: the parts are initialized on construction."""

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def _locate(self, idx: int) -> tuple[DeterministicDataset, int]:
        if not 0 <= idx < len(self):
            raise IndexError(f'index {idx} is outside [0, {len(self)})')
        number = bisect_right(self.cumulative_sizes, idx)
        start = [0, *self.cumulative_sizes][number]
        return list(self.parts.values())[number], idx - start

    def get_data_info(self, idx: int) -> dict:
        """Return the paths of an image; a mask path for labeled images only."""
        part, index = self._locate(int(idx))
        return part.get_data_info(index) | {'sample_idx': int(idx)}

    def name(self, idx: int) -> str:
        """Return the path of an image below the image folder, without suffix."""
        part, index = self._locate(int(idx))
        return part.name(index)

    def __getitem__(self, idx: int) -> Any:
        part, index = self._locate(int(idx))
        if isinstance(idx, SampleKey):
            index = SampleKey(index, idx.seed, idx.number)
        sample = part[index]
        views = views_of(sample)
        if part is self.labeled and any('gt_sem_seg' not in v for v in views):
            path = part.get_data_info(index)['img_path']
            raise RuntimeError(
                f'{path}: a labeled sample has no mask; add LoadAnnotationsStrict to '
                'its pipeline and seg_map_path to the data_prefix of its dataset'
            )
        if isinstance(part, TaggedDataset):
            _require_tags(part, index, views)
        return sample


def _require_tags(part: TaggedDataset, index: int, views: list[Any]) -> None:
    """Check that the pipeline keeps the tags of an image that has some."""
    untagged = [view for view in views if 'gt_tags' not in view]
    if not untagged or part.name(index) not in part.tags:
        return
    path = part.get_data_info(index)['img_path']
    # Another image may replace one that the pipeline rejects.
    if any(view.get('img_path') in (path, None) for view in untagged):
        raise RuntimeError(
            f'{path}: the pipeline loses the tags of the image; end it, or each of its '
            "branches, with dict(type='PackWeakInputs')"
        )


def parts_of_semi(given: Mapping[str, Any]) -> dict[str, tuple[Any, dict | None]]:
    """Return the parts of a :class:`SemiDataset` in the order of the samples.

    Args:
        given: Arguments of the dataset; missing ones are None.

    Returns:
        By the name of the part: its dataset or config, with the list of the split, and
        the source of its tags, None without tags.

    Raises:
        ValueError: See :func:`with_split_list`.
    """
    names = ('labeled', 'tagged', 'unlabeled')
    parts = {name: given[name] for name in names if given.get(name) is not None}
    if (split := given.get('split')) is not None:
        parts = {n: with_split_list(n, part, split) for n, part in parts.items()}
    tags, labeled_tags = given.get('tags'), given.get('labeled_tags')
    if tags is not None and labeled_tags is None:
        labeled_tags = {'source': 'masks', 'allow_empty': True}
    sources = {'labeled': labeled_tags, 'tagged': tags}
    sources['unlabeled'] = None if 'tagged' in parts else tags
    return {name: (part, sources[name]) for name, part in parts.items()}


def _check_sources(parts: Mapping[str, Any], tags: dict | None) -> None:
    """Check which parts there are, and where the tags come from."""
    if parts['tagged'] is None and parts['unlabeled'] is None:
        raise ValueError(
            'SemiDataset needs unlabeled or tagged images: set one of them'
        )
    if parts['tagged'] is not None and tags is None:
        raise ValueError(
            'SemiDataset: tagged images need tags=dict(path=...), found tags=None'
        )
    if isinstance(tags, dict) and tags.get('source', 'file') != 'file':
        raise ValueError(
            f'SemiDataset: tags={tags} would open masks of images without labels; '
            'write a tag file with tools/dataset_converters/image_tags.py, and set '
            'tags=dict(path=...)'
        )


def _refuse_shared_entries(labeled: Any, part: Any) -> None:
    """Check that no entry of a tag file is that of two images in different parts."""
    if not isinstance(labeled, TaggedDataset) or not isinstance(part, TaggedDataset):
        return
    if not _same_file(labeled.tags.source, part.tags.source):
        return
    paths = {tag_key(name): path for path, name in labeled.names.items()}
    for path, name in part.names.items():
        first = paths.get(tag_key(name))
        if first is not None and name in part.tags and not _same_image(first, path):
            raise ValueError(
                f'{part.tags.location(name)}: {first} and {path} are different files '
                f'with one entry, {name!r}; give labeled_tags a file of its own, or '
                'rename one of the images'
            )


def _same_file(first: str, second: str) -> bool:
    return os.path.isfile(first) and os.path.realpath(first) == os.path.realpath(second)


def _same_image(first: str, second: str) -> bool:
    """Return whether two files are equal; broken ones are left to their loader."""
    try:
        return first == second or filecmp.cmp(first, second, shallow=False)
    except OSError:
        return True


def _report_unused_entries(tagged: Any, unlabeled: DeterministicDataset) -> None:
    """Log the number of entries of a tag file that unlabeled images do not get."""
    names = unlabeled.names.values()
    used = set(map(tag_key, tagged.names.values()))
    count = sum(n in tagged.tags and tag_key(n) not in used for n in names)
    if count:
        print_log(
            f'{tagged.tags.source}: {count} of {len(names)} images of unlabeled have '
            'an entry, which is not used beside the part tagged; list these images in '
            'tagged to use their tags',
            'current',
            logging.WARNING,
        )


def _build_part(
    dataset: BaseDataset | dict,
    tags: dict | None,
    classes: Sequence[str] | None = None,
    partial: bool = False,
) -> DeterministicDataset:
    """Build a part; ``classes`` of the labeled part, None to build that part."""
    hide_masks = classes is not None
    if tags is None:
        return DeterministicDataset(dataset, hide_masks=hide_masks)
    names = None if classes is None else foreground_classes({'classes': classes})
    return TaggedDataset(dataset, None, tags, names, partial, hide_masks=hide_masks)


def with_split_list(
    part: str, dataset: BaseDataset | dict, split: str
) -> dict[str, Any]:
    """Return the config of a part of a split, with its list as ``ann_file``.

    Args:
        part: ``'labeled'``, ``'tagged'`` or ``'unlabeled'``.
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
