from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class SmallNet(BaseModule):
    """A backbone as a project may have it: four stages, each at half the size.

    Args:
        widths: Channels of the stages, whose strides are 4, 8, 16 and 32.
        norm_cfg: Config of the norm layers.
        init_cfg: Initialization; a checkpoint would go here.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256),
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or {'type': 'BN'}
        self.stem = ConvModule(3, widths[0], 3, 2, 1, norm_cfg=norm_cfg)
        self.stages = nn.ModuleList(
            nn.Sequential(
                ConvModule(cin, cout, 3, 2, 1, norm_cfg=norm_cfg),
                ConvModule(cout, cout, 3, 1, 1, norm_cfg=norm_cfg),
            )
            for cin, cout in zip((widths[0], *widths), widths)
        )

    def forward(self, img: Tensor) -> tuple[Tensor, ...]:
        """Maps of all stages for images (N, 3, H, W)."""
        feat, outs = self.stem(img), []
        for stage in self.stages:
            feat = stage(feat)
            outs.append(feat)
        return tuple(outs)
