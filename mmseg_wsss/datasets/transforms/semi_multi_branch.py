from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmseg_wsss.registry import TRANSFORMS

BRANCHES = ('sup', 'unsup_weak', 'unsup_strong', 'unsup_strong_0', 'unsup_strong_1')


@TRANSFORMS.register_module()
class SemiMultiBranch(BaseTransform):
    """Several views of one image, or the one view of a labeled image.

    Put it last, after loading and all geometry: an image is decoded once, and its
    views differ in what the branches do alone. Source: mkd.md, section 12
    (mmdetection's ``MultiBranch``) and pitfall 1 of section 12.1.

    Args:
        branch_field: Names of all branches of the training, in all pipelines alike;
            methods with one strong view call it ``unsup_strong``.
        **branch_pipelines: Transforms of the branches that this pipeline has, each
            list ending with a packing transform.

    Raises:
        ValueError: If there is no branch, or one that ``branch_field`` does not name.
    """

    def __init__(
        self,
        branch_field: Sequence[str] = BRANCHES,
        **branch_pipelines: Sequence[Any],
    ) -> None:
        unknown = [name for name in branch_pipelines if name not in branch_field]
        if unknown or not branch_pipelines:
            raise ValueError(
                f'SemiMultiBranch needs branches out of {list(branch_field)}, got '
                f'{list(branch_pipelines)}'
            )
        self.branch_field = tuple(branch_field)
        self.branches = {
            name: Compose(steps) for name, steps in branch_pipelines.items()
        }

    def transform(self, results: dict) -> dict | None:
        """Run the branches, in the order of their definition.

        Returns:
            ``inputs`` and ``data_samples``, dicts with every name of ``branch_field``;
            None for branches that this pipeline does not have. MMEngine's
            ``pseudo_collate`` makes dicts of lists of them. None as a whole where a
            branch rejects the image.
        """
        packed: dict = {
            key: dict.fromkeys(self.branch_field) for key in ('inputs', 'data_samples')
        }
        for name, pipeline in self.branches.items():
            view = pipeline(deepcopy(results))
            if view is None:
                return None
            for key in packed:
                packed[key][name] = view[key]
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.branches})'
