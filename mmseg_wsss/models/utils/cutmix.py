from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.utils.settings import setting

from .opaque import opaque


@dataclass(frozen=True)
class CutMixSettings:
    """Settings of CutMix.

    Args:
        num_boxes: Number of boxes in a mask, at least 1.
        prop_range: Range of the area of a box, relative to the image, within (0, 1].
        prob: Probability that an image is mixed.
        box_of: Image that fills the boxes: ``'own'``, or ``'partner'`` as in UniMatch.
    """

    num_boxes: int = setting(3, at_least=1)
    prop_range: tuple[float, float] = setting(
        (0.25, 0.5), above=0, at_most=1, ascending=True
    )
    prob: float = setting(1.0, at_least=0, at_most=1)
    box_of: str = setting('own', choices=('own', 'partner'))


def draw_masks(inputs: Tensor, cutmix: CutMixSettings | None) -> Tensor:
    """Draw the CutMix masks of a batch from a generator seeded from torch's global one.

    They are drawn on the device of the images: masks differ between CPU and GPU.

    Args:
        inputs: Images (N, 3, H, W).
        cutmix: Settings; None for masks that mix nothing.

    Returns:
        Masks (N, 1, H, W), float32, 1 where an image keeps its own pixels, else 0.
    """
    if cutmix is None:
        return _empty_masks(inputs).fill_(1)
    low, high = cutmix.prop_range
    partner = cutmix.box_of == 'partner'
    return _draw_masks(inputs, cutmix.num_boxes, low, high, cutmix.prob, partner)


def _empty_masks(inputs: Tensor, *_: float) -> Tensor:
    return inputs.new_empty((len(inputs), 1, *inputs.shape[2:]), dtype=torch.float32)


@opaque(_empty_masks, random=True)
def _draw_masks(
    inputs: Tensor, num_boxes: int, low: float, high: float, prob: float, partner: bool
) -> Tensor:
    num, _, height, width = inputs.shape
    generator = torch.Generator(inputs.device)
    generator.manual_seed(int(torch.randint(2**62, ())))
    masks = cutmix_masks(num, height, width, num_boxes, (low, high), generator)
    if partner:
        masks = 1 - masks
    if prob == 1:
        return masks
    draw = torch.rand(num, generator=generator, device=inputs.device)
    return masks.masked_fill((draw >= prob)[:, None, None, None], 1)


def cutmix_masks(
    num: int,
    height: int,
    width: int,
    num_boxes: int = 3,
    prop_range: tuple[float, float] = (0.25, 0.5),
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw CutMix masks: 1 where an image keeps its own pixels, 0 for its partner's.

    Starting from zeros, each box inverts the pixels that it covers (XOR). The area of a
    box relative to the image is ``p``, uniform in ``prop_range``; its relative height
    is ``p ** u`` with ``u`` uniform in [0, 1], its relative width ``p / height``, both
    multiplied by ``sqrt(1 / num_boxes)``; its position is uniform. Source: CutMix for
    segmentation, French et al., https://arxiv.org/abs/1906.01916.

    Args:
        num: Number of masks.
        height: Height of the masks in pixels.
        width: Width of the masks in pixels.
        num_boxes: Number of boxes in a mask.
        prop_range: Range of the relative area of a box, within (0, 1].
        generator: Source of all randomness, on its own device. By default a new one is
            seeded by the operating system, so that results are not reproducible. The
            global generator is never used.
        device: Device of the masks; by default the generator's.

    Returns:
        Masks of shape (num, 1, height, width), float32, 0 or 1.

    Raises:
        ValueError: If a size is below 1 or ``prop_range`` is not an ascending range in
            (0, 1].
    """
    if min(num, height, width, num_boxes) < 1:
        raise ValueError(
            'num, height, width and num_boxes must be at least 1, got '
            f'{num}, {height}, {width} and {num_boxes}'
        )
    low, high = prop_range
    if not 0 < low <= high <= 1:
        raise ValueError(f'prop_range must ascend within (0, 1], got {prop_range}')
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    draws = torch.rand(
        4, num, num_boxes, 1, generator=generator, device=generator.device
    )
    area = low + (high - low) * draws[0]
    rel_height = area ** draws[1]
    shrink = num_boxes**-0.5
    rows = _covered(height, shrink * rel_height, draws[2])
    columns = _covered(width, shrink * area / rel_height, draws[3])
    mask = torch.zeros(num, height, width, dtype=torch.bool, device=draws.device)
    for box in range(num_boxes):
        mask ^= rows[:, box, :, None] & columns[:, box, None]
    return mask[:, None].to(generator.device if device is None else device).float()


def _covered(length: int, ratio: Tensor, position: Tensor) -> Tensor:
    """Mark the pixels (..., length) that an interval of relative size covers."""
    size = (length * ratio).round()
    start = (position * (length - size + 1)).floor().clamp(max=length - 1)
    pixel = torch.arange(length, device=ratio.device)
    return (pixel >= start) & (pixel < start + size)


def mix(tensor: Tensor, mask: Tensor) -> Tensor:
    """Replace the pixels of each image where its mask is 0 by those of the next image.

    The same masks apply to images, labels, logits, features and valid maps, at any
    resolution (the masks are resized by nearest neighbor). Values are selected, never
    blended: every type is kept, and a non-finite value stays at its pixel. The last
    image takes the pixels of the first; a batch of 1 is unchanged.

    Args:
        tensor: Maps of shape (N, C, h, w) or (N, h, w), of any type.
        mask: Masks (N, 1, H, W), above 0.5 (or True) where an image keeps its own
            pixels.

    Returns:
        Mixed maps of the shape and type of ``tensor``.

    Raises:
        ValueError: If the shapes do not match.
    """
    if tensor.dim() not in (3, 4) or mask.shape[:2] != (len(tensor), 1):
        raise ValueError(
            'expected maps (N, C, h, w) or (N, h, w) and masks (N, 1, H, W), got '
            f'{tuple(tensor.shape)} and {tuple(mask.shape)}'
        )
    own = mask.float()
    if own.shape[-2:] != tensor.shape[-2:]:
        own = F.interpolate(own, tensor.shape[-2:], mode='nearest')
    if tensor.dim() == 3:
        own = own[:, 0]
    return torch.where(own > 0.5, tensor, tensor.roll(-1, 0))
