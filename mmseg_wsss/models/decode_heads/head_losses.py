"""Losses of mmseg's decode heads, and an accuracy that does not wait for the device."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.utils import add_prefix
from torch import Tensor, nn


def unchanged(output: Any) -> Any:
    """Return the output of a head as it is."""
    return output


def head_losses(
    head: Any,
    output: Any,
    data_samples: Sequence,
    constrain: Callable[[Any], Any] = unchanged,
) -> dict[str, Tensor]:
    """Compute the losses of a decode head and its accuracy.

    Equivalent to ``head.loss_by_feat``, which is called if the head overrides it. For
    the accuracy, mmseg's base class selects the labeled pixels, which makes the host
    wait twice and breaks the graph of ``torch.compile``; here they are masked.

    Args:
        head: Decode head of mmseg.
        output: Output of its ``forward``.
        data_samples: Data samples of the batch, with ``gt_sem_seg``.
        constrain: Applied to the output before the losses, not before the accuracy; if
            the head overrides ``loss_by_feat``, before both.

    Returns:
        Losses by name, and ``acc_seg`` in percent.
    """
    if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return head.loss_by_feat(constrain(output), data_samples)
    gt = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
    options = {'mode': 'bilinear', 'align_corners': head.align_corners}
    constrained = constrain(output)
    logits = predicted = resize(constrained, gt.shape[2:], **options)
    if constrained is not output:
        predicted = resize(output, gt.shape[2:], **options).detach()
    weight = None if head.sampler is None else head.sampler.sample(logits, gt)
    gt = gt[:, 0]
    losses: dict[str, Tensor] = {}
    modules: Any = head.loss_decode
    for loss in modules if isinstance(modules, nn.ModuleList) else [modules]:
        value = loss(logits, gt, weight=weight, ignore_index=head.ignore_index)
        name: Any = loss.loss_name
        losses[name] = losses[name] + value if name in losses else value
    return losses | {'acc_seg': accuracy(predicted, gt, head.ignore_index)}


def auxiliary_losses(
    net: Any,
    feats: Sequence[Tensor],
    data_samples: Sequence,
    constrain: Callable[[Any], Any] = unchanged,
) -> dict[str, Tensor]:
    """Compute the losses of the auxiliary heads of a segmentor of mmseg.

    Args:
        net: Segmentor of mmseg.
        feats: Feature maps of its backbone and neck.
        data_samples: Data samples of the batch, with ``gt_sem_seg``.
        constrain: Applied to the output of each head that does not override ``loss``.

    Returns:
        Losses by name, with the prefix ``aux``, or ``aux_0``, ``aux_1``, ...
    """
    heads = net.auxiliary_head
    several = isinstance(heads, nn.ModuleList)
    losses: dict[str, Tensor] = {}
    for i, head in enumerate(heads if several else [heads]):
        if type(head).loss is BaseDecodeHead.loss:
            own = head_losses(head, head.forward(feats), data_samples, constrain)
        else:
            own = head.loss(feats, data_samples, net.train_cfg)
        losses |= add_prefix(own, f'aux_{i}' if several else 'aux')
    return losses


@torch.no_grad()
def accuracy(logits: Tensor, gt: Tensor, ignore_index: int = 255) -> Tensor:
    """Return the ratio of labeled pixels with the right class, in percent.

    Args:
        logits: Logits (N, C, H, W).
        gt: Label (N, H, W) int64.
        ignore_index: Label of pixels that are not counted.

    Returns:
        Tensor (1,), equal to mmseg's ``accuracy``: 100 without labeled pixels.

    Example:
        >>> logits = torch.tensor([[[[2.0, 0.0, 0.0]], [[1.0, 1.0, 1.0]]]])
        >>> accuracy(logits, torch.tensor([[[0, 0, 255]]]))
        tensor([50.0000])
    """
    valid = gt != ignore_index
    correct = (logits.argmax(1) == gt) & valid
    eps = torch.finfo(torch.float32).eps
    percent = 100 / (valid.sum().double() + eps)
    return (correct.sum(dtype=torch.float32) + eps)[None] * percent.float()
