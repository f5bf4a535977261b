"""Head of IRN: class boundaries and displacement fields."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import resize
from .cam_head import DEFAULT_INIT


@MODELS.register_module()
class InterPixelHead(BaseModule):
    """Head of IRN for class boundaries and displacements of pixels.

    Both branches have one form: each map goes through a 1x1 convolution, GroupNorm and
    ReLU; the results are concatenated at the size of the first map and go through a 1x1
    convolution. Source: Ahn, Cho and Kwak, "Weakly Supervised Learning of Instance
    Segmentation with Inter-pixel Relations", https://arxiv.org/abs/1904.05044.

    Args:
        in_channels: Channels of the input maps.
        channels: Channels to which each of them is reduced in each branch, a multiple
            of ``num_groups``.
        in_index: Indices of the input maps among the maps of the backbone or neck.
        num_groups: Groups of the normalization.
        init_cfg: Initialization; Xavier-uniform by default.

    Raises:
        ValueError: If the lists differ in length.

    Example:
        >>> head = InterPixelHead(in_channels=(4, 8), channels=4, in_index=(0, 1))
        >>> boundary, field = head([torch.rand(1, 4, 6, 6), torch.rand(1, 8, 3, 3)])
        >>> boundary.shape, field.shape
        (torch.Size([1, 6, 6]), torch.Size([1, 2, 6, 6]))
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        channels: int = 32,
        in_index: Sequence[int] = (0, 1, 2, 3),
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
        """Compute boundaries and displacements at the size of the first map.

        Args:
            feats: Maps (N, D, h, w) of the backbone or neck.

        Returns:
            Boundaries (N, h, w) in [0, 1], and displacements (N, 2, h, w) in cells,
            rows first.
        """
        boundary = self.join_boundary(self._joined(self.boundary, feats))
        field = self.join_displacement(self._joined(self.displacement, feats))
        return boundary[:, 0].sigmoid(), field

    def _joined(self, branch: nn.ModuleList, feats: Sequence[Tensor]) -> Tensor:
        size = feats[self.in_index[0]].shape[2:]
        return torch.cat(
            [
                resize(reduce(feats[index]), size)
                for index, reduce in zip(self.in_index, branch)
            ],
            1,
        )
