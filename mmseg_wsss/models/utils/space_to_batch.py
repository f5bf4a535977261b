"""Dilated depthwise convolutions as plain ones."""

import torch.nn.functional as F
from torch import Tensor, nn


class SpaceToBatchConv2d(nn.Conv2d):
    """Dilated depthwise convolution, computed without dilation.

    Every d-th row and column of a map form a smaller map, to which the same weights
    apply without dilation; these d x d maps become images of the batch. Backward passes
    of dilated depthwise convolutions are slow on CPUs, plain ones are fast, see
    docs/benchmarks.md. Results are equal up to rounding. Maps with fewer than 2 d rows
    or columns are convolved with dilation: the smaller maps would be mostly padding.
    Source:
    Chen et al., "DeepLab", https://arxiv.org/abs/1606.00915, section 3.1.
    """

    @staticmethod
    def suits(conv: nn.Conv2d) -> bool:
        """Return whether a plain ``Conv2d`` can be computed in this way."""
        same = tuple(d * (k - 1) // 2 for d, k in zip(conv.dilation, conv.kernel_size))
        return (
            type(conv) is nn.Conv2d
            and conv.groups == conv.in_channels
            and max(conv.dilation) > 1
            and conv.stride == (1, 1)
            and all(size % 2 for size in conv.kernel_size)
            and conv.padding == same
            and conv.padding_mode == 'zeros'
        )

    def _conv_forward(
        self, input: Tensor, weight: Tensor, bias: Tensor | None
    ) -> Tensor:
        # MMCV's folded convolutions call this method, too.
        n, c, height, width = input.shape
        rows, cols = self.dilation
        if height < 2 * rows or width < 2 * cols:
            return super()._conv_forward(input, weight, bias)
        maps = F.pad(input, (0, -width % cols, 0, -height % rows)).permute(0, 2, 3, 1)
        h, w = maps.shape[1] // rows, maps.shape[2] // cols
        maps = maps.reshape(n, h, rows, w, cols, c).permute(0, 2, 4, 1, 3, 5)
        maps = maps.reshape(-1, h, w, c).permute(0, 3, 1, 2)
        padding = tuple(size // 2 for size in self.kernel_size)
        maps = F.conv2d(maps, weight, bias, padding=padding, groups=self.groups)
        maps = maps.permute(0, 2, 3, 1).reshape(n, rows, cols, h, w, -1)
        maps = maps.permute(0, 3, 1, 4, 2, 5).reshape(n, h * rows, w * cols, -1)
        return maps[:, :height, :width].permute(0, 3, 1, 2)
