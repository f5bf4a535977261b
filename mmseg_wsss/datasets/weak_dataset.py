from collections.abc import Sequence

from mmengine.dataset import BaseDataset

from mmseg_wsss.registry import DATASETS

from .start_checks import refuse_binary_masks
from .tagged_dataset import TaggedDataset
from .tags import ImageTags


@DATASETS.register_module()
class WeakDataset(TaggedDataset):
    """Images with image tags; masks never reach a training sample.

    Wraps any mmseg dataset. The pipeline replaces the pipeline of the wrapped dataset,
    and its input contains ``gt_tags`` (K,). In training the masks are hidden; see
    :class:`DeterministicDataset` for datasets with their own ``__getitem__``.

    Args:
        dataset: An mmseg dataset or its config, also inside MMEngine's
            ``ConcatDataset`` or ``RepeatDataset``; its pipeline is not used.
        pipeline: Transforms, ending with ``PackWeakInputs``.
        tags: Source of the tags, see :class:`TaggedDataset`.
        test_mode: Whether to keep the masks, for evaluation.

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
            dataset, pipeline, tags, hide_masks=not test_mode, refetch=not test_mode
        )
        self.test_mode = test_mode
        if test_mode:
            refuse_binary_masks(self)
