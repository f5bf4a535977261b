import torch
import torch.nn.functional as F
from torch import Tensor


def cutmix_masks(
    num: int,
    height: int,
    width: int,
    num_boxes: int = 3,
    prop_range: tuple[float, float] = (0.25, 0.5),
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Masks of CutMix: 1 where an image keeps its own pixels, 0 for its partner's.

    Starting from zeros, each box flips what it covers (XOR). A box has an area share
    ``p`` uniform in ``prop_range``, the height share ``p ** u`` with ``u`` uniform in
    [0, 1], the width share ``p / height share``, both times ``sqrt(1 / num_boxes)``,
    and its corner anywhere that it fits (mkd.md, section 8; CutMix-Seg, CPS).

    Args:
        num: Number of masks.
        height: Height of the masks in pixels.
        width: Width of the masks in pixels.
        num_boxes: Boxes in a mask.
        prop_range: Range of the area share, within (0, 1].
        generator: Source of all randomness, drawn on its own device. Without it a new
            one is seeded by the operating system, so that no two calls agree and no
            run can be repeated. The global generator is never used.
        device: Device of the masks; by default that of the generator.

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
    high_share = area ** draws[1]
    shrink = num_boxes**-0.5
    rows = _covered(height, shrink * high_share, draws[2])
    columns = _covered(width, shrink * area / high_share, draws[3])
    mask = torch.zeros(num, height, width, dtype=torch.bool, device=draws.device)
    for box in range(num_boxes):
        mask ^= rows[:, box, :, None] & columns[:, box, None]
    return mask[:, None].to(generator.device if device is None else device).float()


def _covered(length: int, share: Tensor, position: Tensor) -> Tensor:
    """Which of ``length`` pixels an interval of this share covers, (..., length)."""
    size = (length * share).round()
    start = (position * (length - size + 1)).floor().clamp(max=length - 1)
    pixel = torch.arange(length, device=share.device)
    return (pixel >= start) & (pixel < start + size)


def mix(tensor: Tensor, mask: Tensor, partner: Tensor | None = None) -> Tensor:
    """Put the pixels of each image's partner where its mask is 0.

    One mask serves everything that belongs to an image: images, labels, logits,
    features, valid areas, at any resolution (the mask is resized by nearest
    neighbor). Values are chosen, never blended: every type is kept, and what is not
    finite in one image cannot reach the other's pixels.

    Args:
        tensor: Maps of shape (N, C, h, w) or (N, h, w), of any type.
        mask: Masks (N, 1, H, W), above 0.5 (or True) where an image keeps its own
            pixels.
        partner: Index (N,) int64 of the partner of each image; by default the next
            one, and the first for the last. A batch of 1 is its own partner and stays
            as it is.

    Returns:
        Mixed maps of the shape and type of ``tensor``.

    Raises:
        ValueError: If the shapes do not fit.
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
    other = tensor.roll(-1, 0) if partner is None else tensor[partner]
    return torch.where(own > 0.5, tensor, other)
