import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from .deterministic_dataset import DeterministicDataset
from .image_name import IMAGE_SUFFIXES, foreground_classes, tag_key
from .inner_dataset import inner_datasets, with_masks
from .label_maps import LabelRule
from .start_checks import check_ignored
from .tags import ImageTags, TagError, tags_from_masks
from .tags.from_samples import tags_from_samples


class TaggedDataset(DeterministicDataset):
    """Wrapper that adds image tags to the samples of an mmseg dataset.

    The input of the pipeline contains ``gt_tags`` (K,) uint8.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``.
        pipeline: Transforms; by default the pipeline of the dataset.
        tags: An :class:`ImageTags`; the arguments of :meth:`ImageTags.load`, e.g.
            ``dict(path='tags.json')``; or ``dict(source='masks')``, with arguments of
            :func:`~mmseg_wsss.datasets.tags.tags_from_masks`, to derive the tags from
            the masks of the dataset, as the dataset delivers them.
        classes: Names of the K foreground classes; by default those of the dataset.
        partial: Whether images may lack an entry among the tags; these get no
            ``gt_tags``.
        **kwargs: Further arguments of :class:`DeterministicDataset`.

    Raises:
        TypeError: If ``tags`` is neither an :class:`ImageTags` nor a dict.
        ValueError: If tags are wrong, an image has no entry (with ``partial``: if none
            has, or its entry has another folder), or two images have the same name.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[dict] | None,
        tags: ImageTags | dict,
        classes: Sequence[str] | None = None,
        partial: bool = False,
        **kwargs: Any,
    ) -> None:
        if not isinstance(tags, ImageTags | dict):
            raise TypeError(
                f"tags: expected dict(path='tags.json') or an ImageTags, got {tags!r}"
            )
        super().__init__(dataset, pipeline, **kwargs)
        self.partial = partial
        self.classes = classes or foreground_classes(self.metainfo)
        names = self._unique_names()
        self.tags = tags if isinstance(tags, ImageTags) else self._load(names, **tags)
        self._check_entries(names)

    def _unique_names(self) -> list[str]:
        """Return the names of the images; no two files may share an entry of tags."""
        paths: dict[str, str] = {}
        names = self.names
        for path, name in names.items():
            key = tag_key(name)
            if paths.setdefault(key, path) != path:
                raise ValueError(
                    f'{paths[key]} and {path} have the same name {key!r} in tag files '
                    'and exports; rename one, or move the images to different '
                    'sub-folders of one folder'
                )
        return list(names.values())

    def untagged(self) -> str | None:
        """Return the name of the first image without an entry, None if all have one."""
        names = map(self.name, range(len(self) if self.partial else 0))
        return next((name for name in names if name not in self.tags), None)

    def _check_entries(self, names: list[str]) -> None:
        """Check that every image, or with ``partial`` any image, has tags."""
        if not self.partial:
            self.tags.check(names)
        else:
            self._check_some(names)

    def _check_some(self, names: list[str]) -> None:
        """Check that entries of some of the images have their names; count them."""
        untagged = {_file_key(n): n for n in names if n not in self.tags}
        count = sum(name in self.tags for name in names)
        if not count:
            found = next(iter(self.tags.names), None)
            raise ValueError(
                f'{self.tags.source}: no entry for any of the {len(names)} images, '
                f'such as {names[0]!r}; the file has names such as {found!r}'
            )
        keys = {tag_key(name) for name in names}
        others = [name for name in self.tags.names if tag_key(name) not in keys]
        for other in others:
            name = untagged.get(_file_key(other))
            if name is not None and not self._is_file(other):
                raise ValueError(
                    f'{self.tags.location(other)}: there is no image {other!r} below '
                    f'{" or ".join(self.folders)}, and the image {name!r} has no '
                    'entry; names are paths below the image folder: correct them'
                )
        print_log(
            f'{self.tags.source}: {count} of {len(names)} images without masks have '
            f'tags; {len(others)} entries match none of these images',
            'current',
            logging.WARNING,
        )

    def _is_file(self, name: str) -> bool:
        """Return whether there is an image, perhaps of another part."""
        ends = [end for s in IMAGE_SUFFIXES for end in (s, s.upper())]
        paths = (os.path.join(f, name + end) for f in self.folders for end in ends)
        return any(map(os.path.exists, paths))

    def _load(
        self, names: list[str], source: str = 'file', **options: Any
    ) -> ImageTags:
        classes = self.classes
        if source == 'file':
            try:
                return ImageTags.load(classes=classes, **options)
            except TagError as error:
                raise error if self.partial else error.with_missing(names) from None
        if source != 'masks':
            raise ValueError(f"tags.source must be 'file' or 'masks', got {source!r}")
        check_ignored(self.parts)
        background = len(classes) < len(self.metainfo['classes'])
        if self.inner.owner or any(part.label_map is not None for part in self.parts):
            # The files contain other labels than the samples of the dataset.
            rule = LabelRule(len(classes), background)
            return tags_from_samples(self._labels(), classes, rule, **options)
        part = self.parts[0]  # concatenated datasets have equal meta information
        rule = LabelRule(
            len(classes), background, part.reduce_zero_label, part.ignore_index
        )
        masks = {}
        for part in inner_datasets(self.dataset):  # with the paths of the masks
            for index in range(len(part)):
                info = part.get_data_info(index)
                masks[self._name_of(info['img_path'])] = info.get('seg_map_path')
        missing = [name for name, path in masks.items() if path is None]
        if missing:
            raise ValueError(
                f"tags=dict(source='masks'): {missing[0]} has no mask; add "
                'seg_map_path to the data_prefix of the dataset'
            )
        return tags_from_masks(masks, classes, rule, **options)

    def _labels(self) -> Iterator[tuple[str, Any]]:
        """Yield name and data sample, with its mask, of each image."""
        inner = with_masks(self.dataset)
        seen = set()
        for index in range(len(self)):
            name = self.name(index)
            if name not in seen:
                yield name, inner.read(index)['data_samples']
            seen.add(name)

    def _complete(
        self, info: dict, idx: int, key: tuple[int, ...] | None = None
    ) -> dict:
        """Add the tags of an image."""
        info = super()._complete(info, idx, key)
        if info['image_name'] in self.tags:
            info['gt_tags'] = self.tags.vector(info['image_name'])
        return info


def _file_key(name: str) -> str:
    """Return the name of an image without its folder, as it is in tag files."""
    return tag_key(name.rpartition('/')[2])
