"""Image tags as masks over channels."""

import torch
from torch import Tensor


def present_classes(tags: Tensor, background: bool = True) -> Tensor:
    """Which channels an image may contain.

    Args:
        tags: Image tags (N, K) in {0, 1}.
        background: Whether channel 0 is a background class, always present.

    Returns:
        Mask (N, C) bool, with C = K + 1 or, without background, K.
    """
    present = tags > 0
    if background:
        present = torch.cat([torch.ones_like(present[:, :1]), present], 1)
    return present


def tag_filter(prob: Tensor, tags: Tensor) -> Tensor:
    """Probabilities with the channels of absent classes set to 0, not renormalized.

    Args:
        prob: Probabilities (N, C, H, W); channel 0 is the background where C = K + 1.
        tags: Image tags (N, K) in {0, 1}.

    Returns:
        Probabilities (N, C, H, W) of the same type; the background is kept.

    Raises:
        ValueError: If C is neither K nor K + 1.
    """
    channels, classes = prob.shape[1], tags.shape[1]
    if channels not in (classes, classes + 1):
        raise ValueError(
            f'prob has {channels} channels and tags have {classes} classes; expected '
            f'{classes} channels, or {classes + 1} with background'
        )
    present = present_classes(tags, background=channels > classes)
    return prob * present[:, :, None, None].to(prob.dtype)
