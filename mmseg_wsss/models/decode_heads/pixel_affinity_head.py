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
    """Features whose distances are affinities of pixels (rcm_mam.md, section 11; PSA).

    Each map goes through a 1x1 convolution and ELU; the results are joined at the size
    of the last one and go through another 1x1 convolution and ELU. No biases.

    Args:
        in_channels: Channels of the maps that are read.
        channels: Channels that each of them is reduced to.
        in_index: Which maps of the backbone or neck are read.
        init_cfg: Initialization; Xavier-uniform by default.

    Raises:
        ValueError: If the lists differ in length.
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
        """Features (N, sum(channels), h, w) of the maps of the backbone or neck."""
        size = feats[self.in_index[-1]].shape[2:]
        parts = []
        for index, reduce in zip(self.in_index, self.reduce):
            parts.append(resize(F.elu(reduce(feats[index])), size))
        return F.elu(self.join(torch.cat(parts, 1)))
