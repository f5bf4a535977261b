"""Masks over channels from image tags."""

import torch
from torch import Tensor

from ..utils import channel_argmax


def present_classes(tags: Tensor, background: bool = True) -> Tensor:
    """Mark the channels of classes that an image contains.

    Args:
        tags: Image tags (N, K) in {0, 1}.
        background: Whether channel 0 is a background class, always present.

    Returns:
        Mask (N, C) bool, with C = K + 1 or, without background, K.

    Example:
        >>> present_classes(torch.tensor([[0, 1]]))
        tensor([[ True, False,  True]])
    """
    present = tags > 0
    if background:
        present = torch.cat([torch.ones_like(present[:, :1]), present], 1)
    return present


def tag_filter(prob: Tensor, tags: Tensor) -> Tensor:
    """Set the probabilities of absent classes to 0, without renormalizing.

    Args:
        prob: Probabilities (N, C, H, W); channel 0 is the background where C = K + 1.
        tags: Image tags (N, K) in {0, 1}.

    Returns:
        Probabilities (N, C, H, W) of the same type; the background is kept.

    Raises:
        ValueError: If C is neither K nor K + 1.

    Example:
        >>> prob = torch.tensor([0.2, 0.5, 0.3]).view(1, 3, 1, 1)
        >>> tag_filter(prob, torch.tensor([[0, 1]])).flatten()
        tensor([0.2000, 0.0000, 0.3000])
    """
    channels, classes = prob.shape[1], tags.shape[1]
    if channels not in (classes, classes + 1):
        raise ValueError(
            f'prob has {channels} channels and tags have {classes} classes; expected '
            f'{classes} channels, or {classes + 1} with background'
        )
    present = present_classes(tags, background=channels > classes)
    return prob * present[:, :, None, None].to(prob.dtype)


def hard_label(prob: Tensor, tags: Tensor) -> Tensor:
    """Return the class with the highest score at each pixel.

    Args:
        prob: Scores (N, C, H, W), 0 for absent classes; channel 0 is the background
            where C = K + 1.
        tags: Image tags (N, K) in {0, 1}.

    Returns:
        Label (N, H, W) int64, the first present class among equal scores; 255 in images
        with neither a tag nor a background class.

    Example:
        >>> prob = torch.tensor([[0.0, 0.3], [0.0, 0.2], [0.0, 0.5]]).view(1, 3, 1, 2)
        >>> hard_label(prob, torch.tensor([[0, 1, 1]]))
        tensor([[[1, 2]]])
    """
    present = present_classes(tags, background=prob.shape[1] > tags.shape[1])
    label = channel_argmax(prob.masked_fill(~present[:, :, None, None], -torch.inf))
    return label.masked_fill(~present.any(1)[:, None, None], 255)


def keep_tagged(label: Tensor, tags: Tensor, background: bool = True) -> Tensor:
    """Ignore the pixels of classes that an image lacks.

    Args:
        label: Label (H, W) int64 in [0, C), or 255.
        tags: Image tags (K,) in {0, 1}.
        background: Whether class 0 is the background (C = K + 1), which is kept.

    Returns:
        Label (H, W) int64, 255 in place of absent classes.

    Example:
        >>> keep_tagged(torch.tensor([[0, 1, 2, 255]]), torch.tensor([0, 1]))
        tensor([[  0, 255,   2, 255]])
    """
    present = present_classes(tags[None], background)[0].to(label.device)
    table = torch.full((256,), 255, dtype=label.dtype, device=label.device)
    table[: len(present)] = torch.arange(len(present), device=label.device).where(
        present, 255
    )
    return table[label]
