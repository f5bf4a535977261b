"""Segmentation head of DeepLab-LargeFOV: two dilated convolutions."""

from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS


@MODELS.register_module()
class LargeFOVHead(BaseDecodeHead):
    """Two dilated convolutions with a ReLU between them, as in RRM and ASDT.

    The second convolution is ``conv_seg``, so whatever hooks or replaces the
    classifier of an mmseg head works here too. Unless ``init_cfg`` is given, weights
    are Xavier-uniform and biases keep PyTorch's default initialization.

    Args:
        in_channels: Channels of the feature map.
        channels: Channels between the two convolutions.
        kernel_size: Odd kernel size of both convolutions.
        dilation: Dilation of both convolutions; padding keeps the map's size.
        dropout_ratio: Probability of ``Dropout2d`` before ``conv_seg``.
        init_cfg: Initialization that replaces the default one.
        **kwargs: Arguments of mmseg's ``BaseDecodeHead``; ``num_classes`` is
            required.

    Raises:
        ValueError: If ``kernel_size`` is even or not positive, or ``dilation`` is
            not positive.
    """

    def __init__(
        self,
        in_channels: int | list[int],
        channels: int = 512,
        *,
        kernel_size: int = 3,
        dilation: int = 12,
        dropout_ratio: float = 0.0,
        init_cfg: dict | list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f'LargeFOVHead: kernel_size must be odd and positive, got {kernel_size}'
            )
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
        padding = dilation * (kernel_size // 2)
        self.conv = ConvModule(
            self.in_channels,
            self.channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            act_cfg=self.act_cfg,
        )
        self.conv_seg = nn.Conv2d(
            self.channels,
            self.out_channels,
            kernel_size,
            padding=padding,
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
        """Segmentation logits (N, num_classes, h, w) at the size of the map."""
        return self.cls_seg(self.conv(self._transform_inputs(inputs)))
