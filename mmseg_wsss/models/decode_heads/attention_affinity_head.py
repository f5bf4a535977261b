"""Affinity between all pairs of positions, from queries and keys."""

import math
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import at_least_float32


@MODELS.register_module()
class AttentionAffinityHead(BaseModule):
    """Affinity ``A = sigmoid(sum_c w_c q_c^T k_c + b)`` of all pairs of positions.

    ``q_c^T k_c`` are the raw attention logits of head ``c``, before scale and softmax,
    over the heads of one or several attention blocks; ``w`` and ``b`` are a 1x1
    convolution over them. The sum over ``c`` is computed as one matrix product, so that
    the maps of the heads are never stored. Source: Ru et al., "Learning Affinity from
    Attention" (AFA), https://arxiv.org/abs/2203.02664.

    :class:`~mmseg_wsss.models.backbones.AttentionMiT` returns the queries and keys of
    its last blocks as its last map. For any other backbone (``embed_channels``), a 1x1
    convolution computes an embedding of a feature map that serves as both query and
    key, so that similar features have a high affinity from the start. The logits are
    then divided by ``sqrt(embed_channels / num_heads)``, since they are untrained at
    first, and ``w`` is initialized to positive values.

    Args:
        in_channels: Channels of the input map.
        num_heads: Number of attention heads of a block.
        num_blocks: Number of attention blocks; the map holds the query and key of each
            in turn.
        embed_channels: Channels of the learned embedding; None if the map holds queries
            and keys.
        in_index: Index of the input map among the maps of the backbone or neck.
        symmetric: Whether to add up the logits of (p, q) and (q, p), as in AFA; the
            released code of TSCD does not.
        init_cfg: Initialization in place of the default: Kaiming normal with
            a = sqrt(5) and fan-out for the weights ``w``.

    Raises:
        ValueError: If channels cannot be divided among blocks and heads.

    Example:
        >>> head = AttentionAffinityHead(in_channels=16, num_heads=2, embed_channels=4)
        >>> head(torch.rand(1, 16, 3, 3)).shape
        torch.Size([1, 9, 9])
    """

    def __init__(
        self,
        in_channels: int,
        num_heads: int = 8,
        num_blocks: int = 1,
        embed_channels: int | None = None,
        in_index: int = -1,
        symmetric: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        channels = in_channels if embed_channels is None else 2 * embed_channels
        if channels < 1 or channels % (2 * num_blocks * num_heads):
            raise ValueError(
                f'AttentionAffinityHead: {channels} query and key channels cannot '
                f'be shared by {num_blocks} blocks with {num_heads} heads'
            )
        if embed_channels is not None and num_blocks != 1:
            raise ValueError(
                'AttentionAffinityHead: learned queries and keys are of one block, '
                f'got num_blocks={num_blocks}'
            )
        self.in_channels = in_channels
        self.num_heads = num_heads
        self.num_blocks = num_blocks
        self.in_index = in_index
        self.symmetric = symmetric
        self.projection = None
        self.scale = 1.0
        if embed_channels is not None:
            self.projection = nn.Conv2d(in_channels, embed_channels, 1)
            self.scale = 1 / math.sqrt(embed_channels / num_heads)
        self.fuse = nn.Conv2d(num_blocks * num_heads, 1, 1)

    def init_weights(self) -> None:
        """Initialize the weights of the heads, unless ``init_cfg`` does."""
        if not self.is_init and self.init_cfg is None:
            nn.init.kaiming_normal_(self.fuse.weight, a=math.sqrt(5), mode='fan_out')
            if self.projection is not None:
                self.fuse.weight.data.abs_()
        super().init_weights()

    def forward(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Compute the affinities of the h * w positions of the map.

        Args:
            feats: A map (N, D, h, w), or the maps of the backbone or neck.

        Returns:
            Affinities (N, h * w, h * w) in (0, 1), float32; rows are queries.

        Raises:
            ValueError: If the map has another number of channels.
        """
        feat = feats if isinstance(feats, Tensor) else feats[self.in_index]
        if feat.shape[1] != self.in_channels:
            raise ValueError(
                f'AttentionAffinityHead: expected {self.in_channels} channels, found a '
                f'map of shape {tuple(feat.shape)} at in_index={self.in_index}'
            )
        if self.projection is not None:
            feat = self.projection(feat)
            feat = torch.cat([feat, feat], 1)
        with torch.autocast(feat.device.type, enabled=False):
            feat = at_least_float32(feat)
            pairs = feat.flatten(2).unflatten(1, (self.num_blocks, 2, -1))
            query, key = (pairs[:, :, i].flatten(1, 2) for i in (0, 1))
            weight = self.fuse.weight.flatten() * self.scale
            weight = weight.repeat_interleave(query.shape[1] // len(weight))
            logits = (query * weight[:, None]).transpose(1, 2) @ key
            if self.symmetric:
                logits = logits + logits.transpose(1, 2)
            return (logits + self.fuse.bias).sigmoid()
