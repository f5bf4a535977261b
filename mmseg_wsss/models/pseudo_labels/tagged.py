"""Labels from CAMs and constant background scores, refined and merged.

Source: the pseudo-labels of Ru et al., "Learning Affinity from Attention" (AFA),
https://arxiv.org/abs/2203.02664, which Xu et al. (TSCD), https://arxiv.org/abs/2302.13765,
share. As in their released code, only channels of tagged classes are refined.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..utils import (
    at_least_float32,
    bounding_boxes,
    channel_argmax,
    constant,
    inside_boxes,
    near_pairs,
    resize,
    resize_boxes,
    scaled_size,
)

Refiner = Callable[..., Tensor]


@torch.no_grad()
def tagged_probs(
    cam: Tensor, tags: Tensor, backgrounds: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Compute the softmax over the background and the tagged classes.

    Only channels of tagged classes are kept: M - 1 is the largest number of tags of an
    image, for which the host waits once. Every background score gives one distribution.

    Args:
        cam: CAM (N, K, h, w) in [0, 1].
        tags: Image tags (N, K) in {0, 1}.
        backgrounds: T constant scores of the background.

    Returns:
        Probabilities (N, T, M, h, w), and the label of each channel (N, M) int64: 0
        first; -1 for unused channels of an image, which have probability 0.

    Example:
        >>> cam = torch.tensor([0.2, 0.9, 0.7]).view(1, 3, 1, 1)
        >>> prob, labels = tagged_probs(cam, torch.tensor([[0, 0, 1]]), [0.7])
        >>> prob.flatten(), labels
        (tensor([0.5000, 0.5000]), tensor([[0, 3]]))
    """
    present = tags > 0
    num = int(present.sum(1).max()) if len(tags) else 0
    order = present.byte().argsort(dim=1, descending=True, stable=True)[:, :num]
    labels = (order + 1).masked_fill(~present.gather(1, order), -1)
    labels = torch.cat([labels.new_zeros(len(labels), 1), labels], 1)
    index = order[:, :, None, None].expand(-1, -1, *cam.shape[2:])
    chosen = at_least_float32(cam).gather(1, index)
    chosen = chosen[:, None].expand(-1, len(backgrounds), -1, -1, -1)
    scores = constant(backgrounds, chosen)[:, None, None, None]
    scores = scores.expand(len(cam), -1, 1, *cam.shape[2:])
    absent = (labels < 0)[:, None, :, None, None]
    scores = torch.cat([scores, chosen], 2).masked_fill(absent, -torch.inf)
    return scores.softmax(2), labels


@torch.no_grad()
def refine_probs(
    prob: Tensor, img: Tensor, refiner: Refiner, scale: float = 0.5
) -> Tensor:
    """Refine probabilities, guided by images of reduced size.

    All distributions of an image are refined together, stacked on the channel axis, so
    that the weights of the refiner are computed once.

    Args:
        prob: Probabilities (N, T, M, h, w).
        img: Colors (N, 3, H, W) in 0..255.
        refiner: Called with images (N, 3, ...) in [0, 1] and maps (N, T * M, h, w).
        scale: Resize factor of the images for the refiner, above 0.

    Returns:
        Maps (N, T, M, H, W).

    Example:
        >>> from mmseg_wsss.models.refiners import LocalAffinityRefiner
        >>> prob, img = torch.rand(1, 2, 3, 4, 4), torch.rand(1, 3, 16, 16) * 255
        >>> refine_probs(prob, img, LocalAffinityRefiner(dilations=[1, 2])).shape
        torch.Size([1, 2, 3, 16, 16])
    """
    size = scaled_size(img.shape[2:], scale)
    guide = resize(img.float() / 255, size)
    maps = resize(refiner(guide, prob.flatten(1, 2)), img.shape[2:])
    return maps.unflatten(1, prob.shape[1:3])


@torch.no_grad()
def refine_inside(
    prob: Tensor, img: Tensor, valid: Tensor, refiner: Refiner, scale: float = 0.5
) -> Tensor:
    """Refine probabilities inside each image, not in padding.

    Equivalent to :func:`refine_probs` of the smallest box around the valid pixels of
    each image, for all images at once.

    Args:
        prob: Probabilities (N, T, M, H, W).
        img: Colors (N, 3, H, W) in 0..255.
        valid: Pixels (N, H, W) bool of the images.
        refiner: Called with images (N, 3, ...) in [0, 1], maps (N, T * M, ...) of their
            size and ``sizes`` (N, 2), see :class:`.LocalAffinityRefiner`.
        scale: Resize factor of the images for the refiner, above 0.

    Returns:
        Maps (N, T, M, H, W), ``prob`` outside the boxes.

    Example:
        >>> from mmseg_wsss.models.refiners import LocalAffinityRefiner
        >>> prob, img = torch.rand(1, 2, 3, 16, 16), torch.rand(1, 3, 16, 16) * 255
        >>> valid = (torch.arange(16) < 9).expand(1, 16, 16)
        >>> maps = refine_inside(prob, img, valid, LocalAffinityRefiner(dilations=[1]))
        >>> maps[..., 9:].equal(prob[..., 9:])
        True
    """
    size, old = scaled_size(img.shape[2:], scale), prob.flatten(1, 2)
    box = bounding_boxes(valid)
    small = torch.zeros_like(box)  # the box at the size of the refiner, upper left
    small[:, 2:] = (box[:, 2:].double() * scale).long().clamp(min=1)
    guide = resize_boxes(img.float() / 255, box, small, size)
    maps = resize_boxes(old, box, small, size, align_corners=True)
    maps = refiner(guide, maps, sizes=small[:, 2:])
    maps = resize_boxes(maps, small, box, img.shape[2:])
    inside = inside_boxes(box, img.shape[2:])[:, None]
    return torch.where(inside, maps, old).unflatten(1, prob.shape[1:3])


@torch.no_grad()
def random_walk(
    prob: Tensor, affinity: Tensor, radius: int = 8, eps: float = 0.1
) -> Tensor:
    """Spread probabilities along an affinity matrix, by one step of a random walk.

    The affinity is squared element by element and set to 0 beyond ``radius``, its
    columns are divided by their sums plus ``eps``, and the maps are multiplied by it
    once. Autocast has no effect. Source: AFA, https://arxiv.org/abs/2203.02664.

    Args:
        prob: Maps (N, T, M, h, w), computed in float32 (float64 for float64).
        affinity: Affinities (N, h * w, h * w) in [0, 1].
        radius: Largest Chebyshev distance of a step in grid cells.
        eps: Added to the sums, so that cells without similar neighbors fade out instead
            of taking over the value of a weak neighbor.

    Returns:
        Maps (N, T, M, h, w).

    Example:
        >>> prob = torch.tensor([1.0, 0.0]).view(1, 1, 1, 1, 2)
        >>> random_walk(prob, torch.ones(1, 2, 2), eps=0.0).flatten()
        tensor([0.5000, 0.5000])
    """
    prob = at_least_float32(prob)
    near = near_pairs(prob.shape[-2:], radius, affinity.device)
    step = affinity.to(prob.dtype).square() * near
    step = step / (step.sum(1, keepdim=True) + eps)
    with torch.autocast(prob.device.type, enabled=False):  # it would narrow a product
        return (prob.flatten(1, 2).flatten(2) @ step).view_as(prob)


@torch.no_grad()
def strongest_labels(maps: Tensor, labels: Tensor) -> Tensor:
    """Return the label of the strongest channel of each pixel.

    Args:
        maps: Maps (N, T, M, H, W).
        labels: Label of each channel (N, M), negative for unused channels.

    Returns:
        Labels (N, T, H, W) int64.

    Example:
        >>> maps = torch.tensor([0.1, 0.2, 0.9]).view(1, 1, 3, 1, 1)
        >>> strongest_labels(maps, torch.tensor([[0, 4, -1]]))
        tensor([[[[4]]]])
    """
    absent = (labels < 0)[:, None, :, None, None]
    strongest = channel_argmax(maps.masked_fill(absent, -torch.inf), 2)
    return labels.gather(1, strongest.flatten(1)).view_as(strongest)


@torch.no_grad()
def all_channels(maps: Tensor, labels: Tensor, num_channels: int) -> Tensor:
    """Scatter the maps of tagged classes to the channels of all classes.

    Args:
        maps: Maps (N, M, H, W).
        labels: Label of each channel (N, M), -1 for unused channels.
        num_channels: C, background included.

    Returns:
        Maps (N, C, H, W), 0 for absent classes.

    Example:
        >>> maps = torch.tensor([0.4, 0.6]).view(1, 2, 1, 1)
        >>> all_channels(maps, torch.tensor([[0, 2]]), num_channels=4).flatten()
        tensor([0.4000, 0.0000, 0.6000, 0.0000])
    """
    full = maps.new_zeros(len(maps), num_channels + 1, *maps.shape[2:])
    index = labels[:, :, None, None].remainder(num_channels + 1)  # -1 is cut off
    return full.scatter_(1, index.expand_as(maps), maps)[:, :num_channels]


@torch.no_grad()
def merge_backgrounds(
    label_high: Tensor, label_low: Tensor, ignore_index: int = 255
) -> Tensor:
    """Merge labels under a high and a low background score.

    Foreground under the high score stays foreground, background under both scores is
    background, and the others are ignored:
    ``Y = Y_high; Y[Y_high == 0] = 255; Y[Y_high + Y_low == 0] = 0``.
    Source: AFA, https://arxiv.org/abs/2203.02664.

    Args:
        label_high: Label (N, H, W) under the high background score.
        label_low: Label (N, H, W) under the low one.
        ignore_index: Label of pixels that are background under the high score only.

    Returns:
        Label (N, H, W).

    Example:
        >>> merge_backgrounds(torch.tensor([2, 0, 0]), torch.tensor([2, 2, 0]))
        tensor([  2, 255,   0])
    """
    label = label_high.masked_fill(label_high == 0, ignore_index)
    return label.masked_fill(label_high + label_low == 0, 0)
