"""Head of AffinityNet: features that are compared to give pixel affinities."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import resize
from .cam_head import DEFAULT_INIT


@MODELS.register_module()
class PixelAffinityHead(BaseModule):
    """Head of AffinityNet: features that are compared to give pixel affinities.

    Each map goes through a 1x1 convolution and ELU; the results are concatenated at the
    size of the last one and go through another 1x1 convolution and ELU. There are no
    biases. Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity with
    Image-level Supervision for Weakly Supervised Semantic Segmentation" (PSA),
    https://arxiv.org/abs/1803.10464.

    Args:
        in_channels: Channels of the input maps.
        channels: Channels to which each of them is reduced.
        in_index: Indices of the input maps among the maps of the backbone or neck.
        init_cfg: Initialization; Xavier-uniform by default.

    Raises:
        ValueError: If the lists differ in length.

    Example:
        >>> head = PixelAffinityHead((4, 8), channels=(2, 3), in_index=(0, 1))
        >>> head([torch.rand(1, 4, 6, 6), torch.rand(1, 8, 3, 3)]).shape
        torch.Size([1, 5, 3, 3])
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 4096),
        channels: Sequence[int] = (64, 128, 256),
        in_index: Sequence[int] = (0, 1, 2),
        init_cfg: dict | list[dict] | None = DEFAULT_INIT,
    ) -> None:
        super().__init__(init_cfg)
        if not len(in_channels) == len(channels) == len(in_index) > 0:
            raise ValueError(
                'PixelAffinityHead: in_channels, channels and in_index must be lists '
                f'of one length, got {in_channels}, {channels} and {in_index}'
            )
        self.in_index = tuple(in_index)
        self.reduce = nn.ModuleList(
            nn.Conv2d(old, new, 1, bias=False)
            for old, new in zip(in_channels, channels)
        )
        self.join = nn.Conv2d(sum(channels), sum(channels), 1, bias=False)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Compute features (N, sum(channels), h, w) of maps of the backbone or neck."""
        size = feats[self.in_index[-1]].shape[2:]
        parts = [
            resize(F.elu(reduce(feats[index])), size)
            for index, reduce in zip(self.in_index, self.reduce)
        ]
        return F.elu(self.join(torch.cat(parts, 1)))
