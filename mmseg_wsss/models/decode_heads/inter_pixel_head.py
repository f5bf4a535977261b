from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import resize
from .cam_head import DEFAULT_INIT


@MODELS.register_module()
class InterPixelHead(BaseModule):
    """Boundaries of classes and displacements of pixels (IRN).

    Two branches of one form: each map goes through a 1x1 convolution, GroupNorm and
    ReLU; the results are joined at the size of the ``size_of`` map and go through a 1x1
    convolution. Source: Ahn, Cho and Kwak 2019.

    Args:
        in_channels: Channels of the maps that are read.
        channels: Channels that each of them is reduced to in each branch, a multiple
            of ``num_groups``.
        in_index: Which maps of the backbone or neck are read.
        size_of: Place in ``in_index`` of the map whose size the results have.
        num_groups: Groups of the normalization.
        init_cfg: Initialization; Xavier-uniform by default.

    Raises:
        ValueError: If the lists differ in length.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        channels: int = 32,
        in_index: Sequence[int] = (0, 1, 2, 3),
        size_of: int = 0,
        num_groups: int = 4,
        init_cfg: dict | list[dict] | None = DEFAULT_INIT,
    ) -> None:
        super().__init__(init_cfg)
        if not len(in_channels) == len(in_index) > 0:
            raise ValueError(
                'InterPixelHead: in_channels and in_index must be lists of one length, '
                f'got {in_channels} and {in_index}'
            )
        self.in_index = tuple(in_index)
        self.size_of = self.in_index[size_of]

        def reduce() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(
                    nn.Conv2d(old, channels, 1, bias=False),
                    nn.GroupNorm(num_groups, channels),
                    nn.ReLU(),
                )
                for old in in_channels
            )

        self.boundary, self.displacement = reduce(), reduce()
        joined = channels * len(in_channels)
        self.join_boundary = nn.Conv2d(joined, 1, 1)
        self.join_displacement = nn.Conv2d(joined, 2, 1, bias=False)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Boundaries (N, h, w) in [0, 1], and displacements (N, 2, h, w) in cells."""
        boundary = self.join_boundary(self._joined(self.boundary, feats))
        field = self.join_displacement(self._joined(self.displacement, feats))
        return boundary[:, 0].sigmoid(), field

    def _joined(self, branch: nn.ModuleList, feats: Sequence[Tensor]) -> Tensor:
        size = feats[self.size_of].shape[2:]
        return torch.cat(
            [
                resize(reduce(feats[index]), size)
                for index, reduce in zip(self.in_index, branch)
            ],
            1,
        )
