from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from mmseg_wsss.registry import TRANSFORMS

BRANCHES = ('sup', 'unsup_weak', 'unsup_strong', 'unsup_strong_0', 'unsup_strong_1')


class Views(dict):
    """Images, or data samples, of the branches of one image.

    mmseg's ``browse_dataset.py`` does not support branches: it shows the first view.
    """

    @property
    def first(self) -> Any:
        """The first view."""
        return next(view for view in self.values() if view is not None)

    def permute(self, *dims: int) -> Any:
        """Permute the dimensions of the first image."""
        return self.first.permute(*dims)

    def numpy(self) -> Any:
        """Convert the first data sample to arrays."""
        return self.first.numpy()

    @property
    def img_path(self) -> str:
        """Path of the image."""
        return self.first.img_path


@TRANSFORMS.register_module()
class SemiMultiBranch(BaseTransform):
    """Create one or several views of an image, with one pipeline per view.

    Corresponds to mmdetection's ``MultiBranch``. Put it last, after loading and all
    geometric transforms: the image is decoded once, and its views are aligned.

    Args:
        branch_field: Names of all branches of a training batch, the same in all
            pipelines; a single strong view is named ``unsup_strong``.
        **branch_pipelines: Transforms of each branch of this pipeline, ending with a
            packing transform.

    Raises:
        ValueError: If there is no branch, or one that is not in ``branch_field``.

    Examples:
        Pipelines of labeled and unlabeled images::

            dict(type='SemiMultiBranch', sup=[dict(type='PackWeakInputs')])
            dict(
                type='SemiMultiBranch',
                unsup_weak=[dict(type='PackWeakInputs')],
                unsup_strong=[
                    dict(type='SemiColorJitter'), dict(type='PackWeakInputs')
                ],
            )
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
        """Run the branches in the order of their definition.

        Returns:
            ``inputs`` and ``data_samples``: dicts with every name of ``branch_field``,
            None for branches without a pipeline, which MMEngine's ``pseudo_collate``
            turns into dicts of lists. None if a branch rejects the image.
        """
        packed: dict = {
            key: Views.fromkeys(self.branch_field) for key in ('inputs', 'data_samples')
        }
        last = next(reversed(self.branches))  # may modify the results themselves
        for name, pipeline in self.branches.items():
            view = pipeline(results if name == last else deepcopy(results))
            if view is None:
                return None
            for key in packed:
                packed[key][name] = view[key]
        return packed

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.branches})'
