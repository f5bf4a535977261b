"""Pseudo-labels of unlabeled images, and the losses computed on them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_wsss.utils.labels import IGNORE_INDEX

from ....losses import confident_cross_entropy
from ....utils import at_least_float32, mix, valid_maps


class PseudoLabels(NamedTuple):
    """Hard pseudo-labels of N images.

    Args:
        label: Labels (N, H, W) int64, 255 where ignored.
        conf: Confidences (N, H, W): the probabilities of the labels.
    """

    label: Tensor
    conf: Tensor

    @classmethod
    def of_logits(cls, logits: Tensor) -> 'PseudoLabels':
        """Return the most probable class of each pixel of logits (N, C, H, W)."""
        conf, label = at_least_float32(logits.detach()).softmax(1).max(1)
        return cls(label, conf)

    def ignore_padding(self, data_samples: list) -> 'PseudoLabels':
        """Set the labels of padding to 255."""
        return self._replace(label=ignore_padding(self.label, data_samples))

    def mixed(
        self, mask: Tensor, partner: 'PseudoLabels | None' = None
    ) -> 'PseudoLabels':
        """Mix by CutMix masks (N, 1, H, W).

        Args:
            mask: Masks, 1 where an image keeps its own pixels.
            partner: Pseudo-labels for the pixels that come from the partner image; the
                same as for an image's own pixels by default.
        """
        return PseudoLabels(
            *(
                torch.where(mask[:, 0] > 0.5, own, mix(other, mask))
                for own, other in zip(self, partner or self)
            )
        )


def ignore_padding(label: Tensor, data_samples: list) -> Tensor:
    """Set the labels (N, H, W) of padding to 255."""
    return label.masked_fill(~valid_maps(data_samples, label[:, None]), IGNORE_INDEX)


def consistency_loss(
    logits: Sequence[Tensor], pseudo: Sequence[PseudoLabels], pseudo_thr: float
) -> tuple[Tensor, Tensor]:
    """Compute the mean cross entropy on confident pseudo-labels over several views.

    Args:
        logits: Logits (N, C, H, W) of each view.
        pseudo: Pseudo-labels of each view.
        pseudo_thr: Smallest confidence of a label.

    Returns:
        The loss, and the ratio of confident pixels among the valid ones.
    """
    results = [
        confident_cross_entropy(of_view, label, conf, pseudo_thr)
        for of_view, (label, conf) in zip(logits, pseudo)
    ]
    losses, ratios = zip(*results)
    return sum(losses) / len(losses), sum(ratios) / len(ratios)


def confident_classes(pseudo: PseudoLabels, thr: float, num_classes: int) -> Tensor:
    """Return :func:`num_effective_classes` of the confident labels."""
    label = pseudo.label.masked_fill(pseudo.conf < thr, IGNORE_INDEX)
    return num_effective_classes(label, num_classes)


@torch.no_grad()
def num_effective_classes(labels: Tensor, num_classes: int) -> Tensor:
    """Compute the exponential of the entropy of the labels' class frequencies.

    It is the number of equally frequent classes with the same entropy, and falls to 1
    if pseudo-labels collapse into one class.

    Args:
        labels: Labels of any shape, int64 in [0, C), or 255.
        num_classes: Number C of classes, below 256.

    Returns:
        Scalar in [1, C]; 0 if every pixel is ignored.
    """
    labels = labels.flatten().clamp(max=num_classes)  # the last bin is not counted
    counts = labels.new_zeros(num_classes + 1)
    counts = counts.scatter_add_(0, labels, torch.ones_like(labels))[:-1]
    frequencies = counts / counts.sum().clamp(min=1)
    effective = torch.special.entr(frequencies).sum().exp()
    return effective * (counts.sum() > 0)
