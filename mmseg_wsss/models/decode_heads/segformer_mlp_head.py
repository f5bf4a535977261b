"""SegFormer's MLP head as in AFA and TSCD: plain linear layers, fused once."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class SegFormerMLPHead(BaseDecodeHead):
    """A linear layer a level, resized, concatenated and fused (tscd.md, section 4).

    mmseg's ``SegformerHead`` has batch norm and ReLU after the layer of each level;
    here they follow the fusion alone. The fusion is a 1x1 convolution over the
    concatenated levels, last one first. It commutes with resizing, so each level goes
    through its part of it at its own size, and the results are added up.

    Args:
        in_channels: Channels of each level.
        channels: Channels of the embedding.
        in_index: Maps of the backbone or neck that are read, largest first.
        **kwargs: Arguments of mmseg's ``BaseDecodeHead``; ``num_classes`` is required.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 256,
        in_index: Sequence[int] = (0, 1, 2, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(
            list(in_channels),
            channels,
            in_index=list(in_index),
            input_transform='multiple_select',
            **kwargs,
        )
        self.linears = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in in_channels)
        self.fusion = ConvModule(
            channels * len(in_channels),
            channels,
            1,
            bias=False,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, C, h, w) at the size of the first level."""
        levels = self._transform_inputs(feats)
        parts = self.fusion.conv.weight.split(self.channels, 1)[::-1]
        fused = 0.0
        for linear, part, level in zip(self.linears, parts, levels):
            fused = fused + resize(
                F.conv2d(linear(level), part),
                size=levels[0].shape[2:],
                mode='bilinear',
                align_corners=False,
            )
        if self.fusion.with_norm:
            fused = self.fusion.norm(fused)
        return self.cls_seg(self.fusion.activate(fused))
