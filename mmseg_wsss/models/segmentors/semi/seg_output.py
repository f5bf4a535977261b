"""What a network makes of images, as the methods pass it on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...utils import mix

IGNORED = 255


class Dense(NamedTuple):
    """What a network makes of N images.

    Args:
        feats: Maps of the backbone and neck.
        outs: What each decode head gives, for its own losses.
        logits: Logits (N, C, h, w).
        feat: Input (N, A, h, w) of ``conv_seg``, where it was asked for.
    """

    feats: Sequence[Tensor]
    outs: list[Any]
    logits: Tensor
    feat: Tensor | None = None

    def split(self, count: int) -> list['Dense']:
        """The first ``count`` images, and the rest."""
        return [_images(self, part) for part in (slice(count), slice(count, None))]

    def mixed(self, mask: Tensor) -> 'Dense':
        """CutMix of logits and features by masks (N, 1, H, W)."""
        feat = None if self.feat is None else mix(self.feat, mask)
        return self._replace(logits=mix(self.logits, mask), feat=feat)


def _images(node: Any, part: slice) -> Any:
    if isinstance(node, Dense):
        return Dense(*(_images(item, part) for item in node))
    if isinstance(node, list | tuple):
        return type(node)(_images(item, part) for item in node)
    return node if node is None else node[part]


@contextmanager
def input_of(module: nn.Module) -> Iterator[list[Tensor]]:
    """Note what a module is called with, in the order of the calls."""
    caught: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    try:
        yield caught
    finally:
        handle.remove()


def resized_labels(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Labels or a bool map (N, H, W) at another size, by nearest neighbor."""
    resized = F.interpolate(labels[:, None].float(), tuple(size), mode='nearest')
    return resized[:, 0].to(labels.dtype)


@torch.no_grad()
def effective_classes(labels: Tensor, num_classes: int) -> Tensor:
    """Number of equally frequent classes with the entropy of the labels' histogram.

    It falls to 1 where pseudo-labels collapse into one class.

    Args:
        labels: Labels of any shape, int64 in [0, C), or 255.
        num_classes: Number C of classes, below 256.

    Returns:
        Scalar in [1, C]; 0 where no pixel has a label.
    """
    labels = labels.flatten().clamp(max=num_classes)  # the last bin is not counted
    counts = labels.new_zeros(num_classes + 1)
    counts = counts.scatter_add_(0, labels, torch.ones_like(labels))[:-1]
    share = counts / counts.sum().clamp(min=1)
    spread = torch.special.entr(share).sum().exp()
    return spread * (counts.sum() > 0)
