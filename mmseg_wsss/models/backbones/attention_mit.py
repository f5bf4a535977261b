"""Mix Transformer with fused attention that also returns queries and keys."""

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.backbones import MixVisionTransformer
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmseg_wsss.registry import MODELS

from .mit_weights import load_mit
from .pretrained_files import pretrained_checkpoint


@MODELS.register_module()
class AttentionMiT(MixVisionTransformer):
    """mmseg's Mix Transformer that also returns queries and keys of its last blocks.

    Weights and features equal those of ``MixVisionTransformer``. Attention runs through
    ``scaled_dot_product_attention``, so that attention maps are never stored; the
    affinity of AFA (https://arxiv.org/abs/2203.02664) follows from queries and keys in
    :class:`~mmseg_wsss.models.decode_heads.AttentionAffinityHead`. Source of the
    network: Xie et al., "SegFormer", https://arxiv.org/abs/2105.15203.

    Args:
        *args: Arguments of ``MixVisionTransformer``.
        num_attentions: Number of blocks at the end of the last stage that return their
            queries and keys; 2 in AFA and TSCD.
        **kwargs: Arguments of ``MixVisionTransformer``.

    Raises:
        ValueError: If ``num_attentions`` is out of range or the last stage reduces its
            keys (``sr_ratios[-1] != 1``).
    """

    def __init__(self, *args: Any, num_attentions: int = 2, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 1 <= num_attentions <= self.num_layers[-1]:
            raise ValueError(
                'AttentionMiT: num_attentions must be between 1 and the number of '
                f'blocks of the last stage, {self.num_layers[-1]}, got {num_attentions}'
            )
        if self.sr_ratios[-1] != 1:
            raise ValueError(
                'AttentionMiT: the last stage must keep all keys, sr_ratios[-1] = 1, '
                f'got {self.sr_ratios[-1]}'
            )
        self.num_attentions = num_attentions

    @property
    def affinity_inputs(self) -> dict[str, int]:
        """Arguments of ``AttentionAffinityHead`` that fit this network."""
        heads = self.num_heads[-1]
        return {
            'in_channels': 2 * self.num_attentions * self.embed_dims * heads,
            'num_heads': heads,
            'num_blocks': self.num_attentions,
        }

    def init_weights(self) -> None:
        """Initialize once; ``Pretrained`` reads files of SegFormer and of mmseg."""
        source = pretrained_checkpoint(self.init_cfg)
        if source is None or self.is_init:
            super().init_weights()
            return
        load_mit(self, **source)
        self._is_init = True

    def forward(self, x: Tensor) -> list[Tensor]:
        """Extract feature maps.

        Args:
            x: Normalized images (N, 3, H, W).

        Returns:
            The maps of ``out_indices``, then a map (N, D, h, w) with the queries and
            keys of each of the last ``num_attentions`` blocks.
        """
        outs: list[Tensor] = []
        pairs: list[Tensor] = []
        stages: list[Any] = list(self.layers)
        for index, (embed, blocks, norm) in enumerate(stages):
            x, size = embed(x)
            for block in blocks:
                if block.with_cp and x.requires_grad:
                    x, *pair = checkpoint(_block, block, x, size, use_reentrant=False)
                else:
                    x, *pair = _block(block, x, size)
                pairs = [*pairs, *pair][-2 * self.num_attentions :]
            x = _as_map(norm(x), size)
            if index in self.out_indices:
                outs.append(x)
        return [*outs, _as_map(torch.cat(pairs, 2), size)]


def _block(
    block: Any, x: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a transformer block; return its output (N, n, D), queries and keys."""
    attention, normed = block.attn, block.norm1(x)
    keys = normed
    if attention.sr_ratio > 1:
        grid = _as_map(normed, size)
        # Maps smaller than the stride of the reduction are padded with zeros.
        missing = [max(attention.sr_ratio - side, 0) for side in size]
        grid = F.pad(grid, (0, missing[1], 0, missing[0]))
        keys = attention.norm(_as_tokens(attention.sr(grid)))
    inner = attention.attn
    dims, bias = inner.embed_dim, inner.in_proj_bias
    weight_q, weight_kv = inner.in_proj_weight.split([dims, 2 * dims])
    bias_q, bias_kv = (None, None) if bias is None else bias.split([dims, 2 * dims])
    query = F.linear(normed, weight_q, bias_q)
    key, value = F.linear(keys, weight_kv, bias_kv).chunk(2, 2)
    per_head = tuple(
        item.unflatten(2, (inner.num_heads, -1)).transpose(1, 2)
        for item in (query, key, value)
    )
    dropout = inner.dropout if block.training else 0.0
    out = F.scaled_dot_product_attention(
        per_head[0], per_head[1], per_head[2], dropout_p=dropout
    )
    out = inner.out_proj(out.transpose(1, 2).flatten(2))
    x = x + attention.dropout_layer(attention.proj_drop(out))
    return x + _feed_forward(block.ffn, block.norm2(x), size), query, key


def _feed_forward(ffn: Any, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Run mmseg's ``MixFFN`` without the identity; 1x1 convolutions act on tokens."""
    first, depthwise, activate, drop, second, last_drop = ffn.layers
    x = F.linear(x, first.weight.flatten(1), first.bias)
    x = _as_tokens(depthwise(_as_map(x, size)))
    x = F.linear(drop(activate(x)), second.weight.flatten(1), second.bias)
    return ffn.dropout_layer(last_drop(x))


def _as_map(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Return tokens (N, n, D) as a map (N, D, h, w) in channels-last order: no copy."""
    return tokens.transpose(1, 2).unflatten(2, size)


def _as_tokens(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)
