from collections.abc import Sequence
from typing import Any

from mmcv.transforms import RandomChoice

from mmseg_wsss.registry import TRANSFORMS


@TRANSFORMS.register_module()
class WeightedChoice(RandomChoice):
    """Apply exactly one of several transforms, drawn with given weights.

    Like ``SomeOf(n=1)`` of albumentations 1.x in MKD's released code, where the ``p``
    of the transforms are weights and the chosen one is always applied. mmcv's
    ``RandomApply(transforms, prob)`` applies a transform with a probability instead.

    Args:
        transforms: Transforms, or lists of transforms.
        weights: One number per transform, at least 0; only their ratios matter.

    Raises:
        ValueError: If there is not one weight per transform, or none is above 0.
    """

    def __init__(self, transforms: Sequence[Any], weights: Sequence[float]) -> None:
        super().__init__(list(transforms))
        if len(weights) != len(self.transforms) or min(weights) < 0 or not any(weights):
            raise ValueError(
                f'weights must be {len(self.transforms)} numbers of at least 0, not '
                f'all 0, got {weights}'
            )
        self.prob = [weight / sum(weights) for weight in weights]
