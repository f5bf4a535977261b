"""SegFormer's MLP head as in AFA and TSCD: plain linear layers, fused once."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import resize


@MODELS.register_module()
class SegFormerMLPHead(BaseDecodeHead):
    """SegFormer's MLP head with a plain linear layer per level.

    mmseg's ``SegformerHead`` has batch norm and ReLU after the layer of each level;
    here they follow the fusion only, as in the released code of AFA and TSCD. The
    fusion is a 1x1 convolution over the concatenated levels, last one first. It
    commutes with resizing, so each level is multiplied by its part of the kernel at its
    own resolution, and the results are resized and added up. Source: Xie et al.,
    "SegFormer", https://arxiv.org/abs/2105.15203.

    Args:
        in_channels: Channels of each level.
        channels: Channels of the embedding.
        in_index: Indices of the input maps among the maps of the backbone or neck,
            largest map first.
        **kwargs: Arguments of mmseg's ``BaseDecodeHead``; ``num_classes`` is required.

    Example:
        >>> head = SegFormerMLPHead((2, 4), channels=8, in_index=(0, 1), num_classes=3)
        >>> head([torch.rand(1, 2, 6, 6), torch.rand(1, 4, 3, 3)]).shape
        torch.Size([1, 3, 6, 6])
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
        """Return logits (N, C, h, w) at the size of the first level."""
        levels = self._transform_inputs(feats)
        parts = self.fusion.conv.weight.split(self.channels, 1)[::-1]
        fused: Any = 0.0
        for linear, part, level in zip(self.linears, parts, levels):
            embedding = F.conv2d(linear(level), part)
            fused = fused + resize(embedding, levels[0].shape[2:])
        if self.fusion.with_norm:
            fused = self.fusion.norm(fused)
        return self.cls_seg(self.fusion.activate(fused))
