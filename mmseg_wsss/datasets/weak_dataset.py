import os
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dataset import BaseDataset, Compose

from mmseg_wsss.registry import DATASETS

from .deterministic_dataset import DeterministicDataset
from .image_name import foreground_classes, image_name, tag_key
from .inner_dataset import InnerDataset, inner_datasets
from .label_maps import LabelRule
from .start_checks import refuse_binary_masks
from .tags import ImageTags, TagError, tags_from_masks
from .tags.from_samples import tags_from_samples


@DATASETS.register_module()
class WeakDataset(DeterministicDataset):
    """Images with image tags; masks never reach a training sample.

    Wraps any mmseg dataset. The pipeline replaces the pipeline of the wrapped dataset
    and finds ``gt_tags`` (K,) in its input. In training the masks are hidden; see
    :class:`DeterministicDataset` for datasets with their own ``__getitem__``.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: An :class:`ImageTags`; the arguments of :meth:`ImageTags.load`, e.g.
            ``dict(path='tags.json')``; or ``dict(source='masks')``, with arguments of
            :func:`~mmseg_wsss.datasets.tags.tags_from_masks`, to derive the tags from
            the masks of the dataset, as the dataset delivers them.
        test_mode: Keep the masks, for evaluation.

    Raises:
        ValueError: If the pipeline loads annotations in training, a file lies outside
            the data root, an image has no entry among the tags, two images have the
            same name, or the masks of an evaluation contain only 0 and 255.
    """

    def __init__(
        self,
        dataset: BaseDataset | dict,
        pipeline: Sequence[dict],
        tags: ImageTags | dict,
        test_mode: bool = False,
    ) -> None:
        super().__init__(
            dataset, pipeline, hide_masks=not test_mode, refetch=not test_mode
        )
        if not isinstance(tags, ImageTags | dict):
            raise TypeError(
                f"tags: expected dict(path='tags.json') or an ImageTags, got {tags!r}"
            )
        self.test_mode = test_mode
        folders = [part.data_prefix.get('img_path') for part in self.parts]
        self.folders = [folder for folder in dict.fromkeys(folders) if folder]
        names = self._unique_names()
        if isinstance(tags, ImageTags):
            tags.check(names)
        self.tags = tags if isinstance(tags, ImageTags) else self._load(names, **tags)
        if test_mode:
            refuse_binary_masks(self)

    def _unique_names(self) -> list[str]:
        """Return the names of the images; no two files may share an entry of tags."""
        paths: dict[str, str] = {}
        names = []
        for path in dict.fromkeys(path for part in self.img_paths for path in part):
            name = self._name_of(path)
            key = tag_key(name)
            names.append(name)
            if paths.setdefault(key, path) != path:
                raise ValueError(
                    f'{paths[key]} and {path} have the same name {key!r} in tag files '
                    'and exports; rename one, or move the images to different '
                    'sub-folders of one folder'
                )
        return names

    def _load(
        self, names: list[str], source: str = 'file', **options: Any
    ) -> ImageTags:
        classes = foreground_classes(self.metainfo)
        if source == 'file':
            try:
                tags = ImageTags.load(classes=classes, **options)
            except TagError as error:
                raise error.with_missing(names) from None
            tags.check(names)
            return tags
        if source != 'masks':
            raise ValueError(f"tags.source must be 'file' or 'masks', got {source!r}")
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
        steps = ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')
        pipeline = Compose([{'type': step} for step in steps])
        inner = InnerDataset(self.dataset, pipeline, lambda info, *_: info, False)
        seen = set()
        for index in range(len(self)):
            name = self.name(index)
            if name not in seen:
                yield name, inner.read(index)['data_samples']
            seen.add(name)

    def name(self, idx: int) -> str:
        """Return the path of an image below the image folder, without suffix."""
        return self._name_of(self.inner.get_data_info(idx)['img_path'])

    def _name_of(self, path: str) -> str:
        found = (f for f in self.folders if path.startswith(os.path.join(f, '')))
        return image_name(path, next(found, None))

    def _complete(
        self, info: dict, idx: int, key: tuple[int, ...] | None = None
    ) -> dict:
        """Add name and tags of an image."""
        info = super()._complete(info, idx, key)
        info['image_name'] = self._name_of(info['img_path'])
        info['gt_tags'] = self.tags.vector(info['image_name'])
        return info
