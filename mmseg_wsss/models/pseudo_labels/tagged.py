"""Labels from CAMs against constant background scores, refined and merged."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..utils import at_least_float32, near_pairs, resize, scaled_size

Refiner = Callable[[Tensor, Tensor], Tensor]


@torch.no_grad()
def tagged_probs(
    cam: Tensor, tags: Tensor, backgrounds: Sequence[float]
) -> tuple[Tensor, Tensor]:
    """Softmax over the background and the tagged classes (tscd.md, 6, steps 1 and 2).

    Only channels of tagged classes are kept: as many as the image with most tags
    has. Every background score gives a distribution of its own.

    Args:
        cam: CAM (N, K, h, w) in [0, 1].
        tags: Image tags (N, K) in {0, 1}.
        backgrounds: T constant scores of the background.

    Returns:
        Probabilities (N, T, M, h, w), 0 in channels that an image does not need, and
        the label of each channel (N, M) int64: 0 first, -1 for those channels.
    """
    present = tags > 0
    num = int(present.sum(1).max()) if len(tags) else 0
    order = present.byte().argsort(dim=1, descending=True, stable=True)[:, :num]
    labels = (order + 1).masked_fill(~present.gather(1, order), -1)
    labels = torch.cat([labels.new_zeros(len(labels), 1), labels], 1)
    index = order[:, :, None, None].expand(-1, -1, *cam.shape[2:])
    chosen = at_least_float32(cam).gather(1, index)
    chosen = chosen[:, None].expand(-1, len(backgrounds), -1, -1, -1)
    scores = chosen.new_tensor(backgrounds)[:, None, None, None]
    scores = scores.expand(len(cam), -1, 1, *cam.shape[2:])
    absent = (labels < 0)[:, None, :, None, None]
    scores = torch.cat([scores, chosen], 2).masked_fill(absent, -torch.inf)
    return scores.softmax(2), labels


@torch.no_grad()
def refine_probs(
    prob: Tensor, img: Tensor, refiner: Refiner, scale: float = 0.5
) -> Tensor:
    """Refine probabilities by an image of reduced size (tscd.md, 6, step 3).

    All distributions of an image go through the refiner at once, stacked on the
    channel axis, so that its weights are computed once.

    Args:
        prob: Probabilities (N, T, M, h, w).
        img: Colors (N, 3, H, W) in 0..255.
        refiner: Called with images (N, 3, ...) in [0, 1] and maps (N, T * M, h, w).
        scale: Size of the image that the refiner sees.

    Returns:
        Maps (N, T, M, H, W).
    """
    size = scaled_size(img.shape[2:], scale)
    guide = resize(img.float() / 255, size)
    maps = resize(refiner(guide, prob.flatten(1, 2)), img.shape[2:])
    return maps.unflatten(1, prob.shape[1:3])


@torch.no_grad()
def random_walk(
    prob: Tensor, affinity: Tensor, radius: int = 8, eps: float = 0.1
) -> Tensor:
    """Spread probabilities by an affinity (tscd.md, sections 6 and 12).

    The affinity is squared element by element, cut at ``radius``, its columns are
    divided by their sum plus ``eps``, and the maps are multiplied by it once.

    Args:
        prob: Maps (N, T, M, h, w).
        affinity: Affinities (N, h * w, h * w) in [0, 1].
        radius: Largest Chebyshev distance of a step in grid cells.
        eps: See above; without it lonely cells would take over a neighbor's value.

    Returns:
        Maps (N, T, M, h, w).
    """
    size = prob.shape[-2:]
    near = near_pairs(size, radius, affinity.device)
    step = affinity.to(prob.dtype).square() * near
    step = step / (step.sum(1, keepdim=True) + eps)
    return (prob.flatten(1, 2).flatten(2) @ step).view_as(prob)


@torch.no_grad()
def strongest_labels(maps: Tensor, labels: Tensor) -> Tensor:
    """Label of the strongest channel.

    Args:
        maps: Maps (N, T, M, H, W).
        labels: Label of each channel (N, M), negative where it does not count.

    Returns:
        Labels (N, T, H, W) int64.
    """
    absent = (labels < 0)[:, None, :, None, None]
    strongest = maps.masked_fill(absent, -torch.inf).argmax(2)
    return labels.gather(1, strongest.flatten(1)).view_as(strongest)


@torch.no_grad()
def all_channels(maps: Tensor, labels: Tensor, num_channels: int) -> Tensor:
    """Maps (N, C, H, W) of all classes from those (N, M, H, W) of tagged ones.

    Args:
        maps: Maps (N, M, H, W).
        labels: Label of each channel (N, M), -1 where it does not count.
        num_channels: C, background included; absent classes are 0.
    """
    full = maps.new_zeros(len(maps), num_channels + 1, *maps.shape[2:])
    index = labels[:, :, None, None].remainder(num_channels + 1)  # -1 goes last
    return full.scatter_(1, index.expand_as(maps), maps)[:, :num_channels]


@torch.no_grad()
def merge_backgrounds(
    label_high: Tensor, label_low: Tensor, ignore_index: int = 255
) -> Tensor:
    """Foreground that a strong background leaves, background that a weak one takes.

    ``Y = Y_high; Y[Y_high == 0] = 255; Y[Y_high + Y_low == 0] = 0`` (tscd.md, 6, 4).

    Args:
        label_high: Label (N, H, W) under the high background score.
        label_low: Label (N, H, W) under the low one.
        ignore_index: Label of pixels on which they differ as to the background.
    """
    label = label_high.masked_fill(label_high == 0, ignore_index)
    return label.masked_fill(label_high + label_low == 0, 0)
