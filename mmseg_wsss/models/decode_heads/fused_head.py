"""Several decode heads on one backbone, fused into one prediction."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ..utils import log_probability, resize


def fuse_probabilities(logits: Sequence[Tensor], mode: str) -> Tensor:
    """Fuse the probabilities of several heads.

    Args:
        logits: Logits (N, C, H, W) of each head.
        mode: ``'mean'`` of the heads, or ``'max'`` for each class; these may sum to
            more than 1.

    Returns:
        Probabilities (N, C, H, W) in float32.

    Raises:
        ValueError: If ``mode`` is unknown.
    """
    check_value('mode', mode, choices=('max', 'mean'))
    probs = torch.stack([logit.float().softmax(1) for logit in logits])
    return probs.mean(0) if mode == 'mean' else probs.amax(0)


@MODELS.register_module()
class FusedHead(BaseModule):
    """Fused prediction of several decode heads in mmseg's ``EncoderDecoder``.

    ``tools/export_segmentor.py`` writes it for ASDT. It predicts the logarithm of the
    fused probabilities and is not trained.

    Args:
        heads: Configs of mmseg's decode heads, with the same number of classes.
        mode: See :func:`fuse_probabilities`.

    Raises:
        ValueError: If the heads differ in their classes, or ``mode`` is unknown.
    """

    def __init__(self, heads: Sequence[dict], mode: str = 'max') -> None:
        super().__init__()
        check_value('mode', mode, choices=('max', 'mean'))
        self.heads: Any = torch.nn.ModuleList(MODELS.build(head) for head in heads)
        counts = [head.num_classes for head in self.heads]
        if len(set(counts)) != 1:
            raise ValueError(
                f'FusedHead: expected heads of one num_classes, found {counts}'
            )
        self.mode = mode
        self.num_classes = self.out_channels = counts[0]
        self.align_corners = bool(self.heads[0].align_corners)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute the fused output (N, C, h, w) at the size of the first head's."""
        first, *others = [head(inputs) for head in self.heads]
        size = first.shape[2:]
        others = [resize(o, size, self.align_corners) for o in others]
        return log_probability(fuse_probabilities([first, *others], self.mode))

    def predict(
        self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: Any
    ) -> Tensor:
        """Predict the fused output (N, C, H, W) at the size of the image."""
        logits = [
            head.predict(inputs, batch_img_metas, test_cfg) for head in self.heads
        ]
        return log_probability(fuse_probabilities(logits, self.mode))
