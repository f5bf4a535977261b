from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from mmseg_wsss.registry import DATASETS

from .deterministic_dataset import DeterministicDataset
from .image_name import foreground_classes, image_name
from .label_maps import LabelRule
from .tags import ImageTags, tags_from_masks


@DATASETS.register_module()
class WeakDataset(DeterministicDataset):
    """Images with image tags; masks never reach a training sample.

    Wraps any mmseg dataset. The pipeline replaces the pipeline of the wrapped dataset
    and finds ``gt_tags`` (K,) in its input. In training the masks are hidden.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: An :class:`ImageTags`; the arguments of :meth:`ImageTags.load`, e.g.
            ``dict(path='tags.json')``; or ``dict(source='masks')``, with arguments of
            :func:`~mmseg_wsss.datasets.tags.tags_from_masks`, to derive the tags from
            the masks of the dataset.
        test_mode: Keep the masks, for evaluation.

    Raises:
        ValueError: If the pipeline loads annotations in training, a file lies outside
            the data root, an image has no entry among the tags, or images of
            concatenated datasets have the same name.
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
        self.test_mode = test_mode
        self._check_names()
        self.tags = tags if isinstance(tags, ImageTags) else self._load_tags(**tags)
        self.tags.check(self.name(i) for i in range(len(self)))

    def _check_names(self) -> None:
        """Check that no two files of concatenated datasets share an entry of tags."""
        paths: dict[str, str] = {}
        for part in self.parts if len(self.parts) > 1 else ():
            for i in range(len(part)):
                path = part.get_data_info(i)['img_path']
                name = self._name_of(path)
                if paths.setdefault(name, path) != path:
                    raise ValueError(
                        f'{paths[name]} and {path} have the same name {name!r} in tag '
                        'files; move the images to different sub-folders of one folder'
                    )

    def _load_tags(self, source: str = 'file', **options: Any) -> ImageTags:
        classes = foreground_classes(self.metainfo)
        if source == 'file':
            return ImageTags.load(classes=classes, **options)
        if source != 'masks':
            raise ValueError(f"tags.source must be 'file' or 'masks', got {source!r}")
        dataset = self.parts[0]  # concatenated datasets have equal meta information
        if dataset.label_map is not None:
            raise ValueError(
                'tags cannot be derived from the masks of a subset of the classes of '
                f'{type(dataset).__name__}; write a tag file with '
                'tools/dataset_converters/image_tags.py'
            )
        rule = LabelRule(
            len(classes),
            len(classes) < len(self.metainfo['classes']),
            dataset.reduce_zero_label,
            dataset.ignore_index,
        )
        infos = [self.dataset.get_data_info(i) for i in range(len(self))]
        masks = {self.name(i): info['seg_map_path'] for i, info in enumerate(infos)}
        return tags_from_masks(masks, classes, rule, **options)

    def name(self, idx: int) -> str:
        """Return the path of an image below the image folder, without suffix."""
        return self._name_of(self.dataset.get_data_info(idx)['img_path'])

    def _name_of(self, path: str) -> str:
        folders = [part.data_prefix.get('img_path') for part in self.parts]
        inside = (f for f in folders if f and Path(path).is_relative_to(f))
        return image_name(path, next(inside, None))

    def get_data_info(self, idx: int) -> dict:
        """Return paths, name and tags of an image; no mask path in training."""
        info = super().get_data_info(idx)
        info['image_name'] = self.name(int(idx))
        info['gt_tags'] = self.tags.vector(info['image_name'])
        return info
