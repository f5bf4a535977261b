"""Classification head with class activation maps."""

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

Feats = Tensor | Sequence[Tensor]

DEFAULT_INIT = {'type': 'Xavier', 'distribution': 'uniform', 'layer': 'Conv2d'}


@MODELS.register_module()
class CAMHead(BaseModule):
    """Image-level classifier: pooling and a 1x1 convolution without bias.

    The same convolution applied to the map before pooling gives the class activation
    maps. With average pooling the logits are the spatial mean of the raw maps; with max
    pooling each channel is pooled first, as in AFA. Source: Zhou et al., "Learning Deep
    Features for Discriminative Localization", https://arxiv.org/abs/1512.04150.

    Args:
        num_classes: Number ``K`` of foreground classes.
        in_channels: Channels ``D`` of the feature map.
        in_index: Index of the input map among the maps of the backbone or neck.
        pooling: ``'gap'`` (average) or ``'gmp'`` (maximum).
        dropout_ratio: Probability of ``Dropout2d`` before pooling, in [0, 1). It
            acts on the classification path only, never on the maps.
        embed_channels: Channels of an embedding ``ReLU(conv1x1(feat))``, without
            bias, between feature map and classifier; none by default.
        init_cfg: Initialization; Xavier-uniform by default.

    Raises:
        ValueError: If ``pooling``, ``dropout_ratio`` or a number of channels or
            classes is out of range.

    Example:
        >>> head = CAMHead(num_classes=3, in_channels=8, dropout_ratio=0)
        >>> feat = torch.rand(2, 8, 4, 4)
        >>> logits, cam = head(feat), head.raw_cam(feat)
        >>> cam.shape, torch.allclose(logits, cam.mean((2, 3)), atol=1e-6)
        (torch.Size([2, 3, 4, 4]), True)
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        in_index: int = -1,
        pooling: Literal['gap', 'gmp'] = 'gap',
        dropout_ratio: float = 0.5,
        embed_channels: int | None = None,
        init_cfg: dict | list[dict] | None = DEFAULT_INIT,
    ) -> None:
        super().__init__(init_cfg)
        if num_classes < 1 or in_channels < 1:
            raise ValueError(
                'CAMHead: num_classes and in_channels must be at least 1, '
                f'got {num_classes} and {in_channels}'
            )
        if embed_channels is not None and embed_channels < 1:
            raise ValueError(
                'CAMHead: embed_channels must be None or at least 1, '
                f'got {embed_channels}'
            )
        if pooling not in ('gap', 'gmp'):
            raise ValueError(
                f"CAMHead: pooling must be 'gap' or 'gmp', got {pooling!r}"
            )
        if not 0 <= dropout_ratio < 1:
            raise ValueError(
                f'CAMHead: dropout_ratio must be in [0, 1), got {dropout_ratio}'
            )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.in_index = in_index
        self.pooling = pooling
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.embedding = (
            None
            if embed_channels is None
            else nn.Conv2d(in_channels, embed_channels, 1, bias=False)
        )
        self.classifier = nn.Conv2d(
            embed_channels or in_channels, num_classes, 1, bias=False
        )

    def embed(self, feats: Feats) -> Tensor:
        """Compute the input of the classifier.

        Args:
            feats: A map (N, D, h, w), or the maps of the backbone or neck.

        Returns:
            Embedding (N, embed_channels, h, w), at least 0; the feature map if the head
            has no embedding.

        Raises:
            ValueError: If the map has another number of channels.
        """
        feat = feats if isinstance(feats, Tensor) else feats[self.in_index]
        if feat.shape[1] != self.in_channels:
            raise ValueError(
                f'CAMHead: expected {self.in_channels} channels, found a map of '
                f'shape {tuple(feat.shape)} at in_index={self.in_index}'
            )
        return feat if self.embedding is None else F.relu(self.embedding(feat))

    def forward(self, feats: Feats) -> Tensor:
        """Compute the tag logits.

        Args:
            feats: A map (N, D, h, w), or the maps of the backbone or neck.

        Returns:
            Logits (N, K).
        """
        feat = self.dropout(self.embed(feats))
        pool = F.adaptive_avg_pool2d if self.pooling == 'gap' else F.adaptive_max_pool2d
        return self.classifier(pool(feat, 1)).flatten(1)

    def raw_cam(self, feats: Feats) -> Tensor:
        """Return signed class maps (N, K, h, w), without dropout."""
        return self.classifier(self.embed(feats))

    def cam(self, feats: Feats) -> Tensor:
        """Return class activation maps (N, K, h, w), at least 0, with gradient."""
        return F.relu(self.raw_cam(feats))
