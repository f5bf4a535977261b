"""Segmentation head of DeepLab-LargeFOV: two dilated convolutions."""

from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class LargeFOVHead(BaseDecodeHead):
    """Two dilated 3x3 convolutions with a ReLU between them, as in RRM and ASDT.

    The second convolution is ``conv_seg``, so that code which hooks or replaces the
    classifier of an mmseg head works here too. Unless ``init_cfg`` is given, weights
    are Xavier-uniform and biases keep PyTorch's default initialization. Source: the
    large field of view of Chen et al. (DeepLab), https://arxiv.org/abs/1412.7062, as in
    RRM, https://arxiv.org/abs/1911.08039.

    Args:
        in_channels: Channels of the feature map.
        channels: Channels between the two convolutions.
        dilation: Dilation of both convolutions; padding keeps the size of the map.
        dropout_ratio: Probability of ``Dropout2d`` before ``conv_seg``.
        init_cfg: Initialization that replaces the default one.
        **kwargs: Arguments of mmseg's ``BaseDecodeHead``; ``num_classes`` is
            required.

    Raises:
        ValueError: If ``dilation`` is not positive.

    Example:
        >>> head = LargeFOVHead(in_channels=8, channels=4, num_classes=3)
        >>> head([torch.rand(1, 8, 5, 5)]).shape
        torch.Size([1, 3, 5, 5])
    """

    def __init__(
        self,
        in_channels: int | list[int],
        channels: int = 512,
        *,
        dilation: int = 12,
        dropout_ratio: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        if dilation < 1:
            raise ValueError(
                f'LargeFOVHead: dilation must be at least 1, got {dilation}'
            )
        super().__init__(
            in_channels,
            channels,
            dropout_ratio=dropout_ratio,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.conv = ConvModule(
            self.in_channels,
            self.channels,
            3,
            padding=dilation,
            dilation=dilation,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
        self.conv_seg = nn.Conv2d(
            self.channels,
            self.out_channels,
            3,
            padding=dilation,
            dilation=dilation,
        )

    def init_weights(self) -> None:
        """Initialize once: by ``init_cfg``, or Xavier-uniform weights without it."""
        first = not self.is_init
        super().init_weights()
        if first and not self.init_cfg:
            for conv in (self.conv.conv, self.conv_seg):
                conv.reset_parameters()
                nn.init.xavier_uniform_(conv.weight)

    def forward(self, inputs: tuple[Tensor, ...] | list[Tensor]) -> Tensor:
        """Return segmentation logits (N, num_classes, h, w) at the size of the map."""
        return self.cls_seg(self.conv(self._transform_inputs(inputs)))
