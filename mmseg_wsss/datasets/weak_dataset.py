import os
from collections.abc import Sequence
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
        dataset: An mmseg dataset or its config; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: An :class:`ImageTags`; the arguments of :meth:`ImageTags.load`, e.g.
            ``dict(path='tags.json')``; or ``dict(source='masks')``, with arguments of
            :func:`~mmseg_wsss.datasets.tags.tags_from_masks`, to derive the tags from
            the masks of the dataset.
        test_mode: Keep the masks, for evaluation.

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
    ) -> None:
        super().__init__(
            dataset, pipeline, hide_masks=not test_mode, refetch=not test_mode
        )
        self.test_mode = test_mode
        self.tags = tags if isinstance(tags, ImageTags) else self._load_tags(**tags)
        self.tags.check(self.name(i) for i in range(len(self)))

    def _load_tags(self, source: str = 'file', **options: Any) -> ImageTags:
        classes = foreground_classes(self.metainfo)
        if source == 'file':
            return ImageTags.load(classes=classes, **options)
        if source != 'masks':
            raise ValueError(f"tags.source must be 'file' or 'masks', got {source!r}")
        if self.dataset.label_map is not None:
            raise ValueError(
                'tags cannot be derived from the masks of a subset of the classes of '
                f'{type(self.dataset).__name__}; write a tag file with '
                'tools/dataset_converters/image_tags.py'
            )
        rule = LabelRule(
            len(classes),
            len(classes) < len(self.metainfo['classes']),
            self.dataset.reduce_zero_label,
            self.dataset.ignore_index,
        )
        infos = [self.dataset.get_data_info(i) for i in range(len(self))]
        masks = {self.name(i): info['seg_map_path'] for i, info in enumerate(infos)}
        return tags_from_masks(masks, classes, rule, **options)

    def name(self, idx: int) -> str:
        """Return the path of an image below the image folder, without suffix."""
        path: str | os.PathLike[str] = self.dataset.get_data_info(idx)['img_path']
        return image_name(path, self.dataset.data_prefix['img_path'])

    def get_data_info(self, idx: int) -> dict:
        """Return paths, name and tags of an image; no mask path in training."""
        info = super().get_data_info(idx)
        info['image_name'] = self.name(int(idx))
        info['gt_tags'] = self.tags.vector(info['image_name'])
        return info
