"""Boxes of a batch, one per image, without a loop over images.

A box is (top, left, height, width) in pixels; a batch of boxes is (N, 4) int64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def extents(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the positions of the first and the last True of each row.

    Args:
        inside: Mask (N, L) bool.

    Returns:
        First and last positions, (N,) int64 each; 0 and -1 for a row without True.

    Example:
        >>> extents(torch.tensor([[False, True, True, False], [False] * 4]))
        (tensor([1, 0]), tensor([ 2, -1]))
    """
    first = inside.byte().argmax(1)
    last = inside.shape[1] - 1 - inside.flip(1).byte().argmax(1)
    return first, last.masked_fill(~inside.any(1), -1)


def bounding_boxes(valid: Tensor) -> Tensor:
    """Return the smallest box around the True pixels of each map.

    Args:
        valid: Masks (N, H, W) bool.

    Returns:
        Boxes (N, 4); height and width are 0 for a mask without True.

    Example:
        >>> valid = torch.tensor([[[0, 0, 0], [0, 1, 1]]]) > 0
        >>> bounding_boxes(valid)
        tensor([[1, 1, 1, 2]])
    """
    (top, bottom), (left, right) = (extents(valid.any(dim)) for dim in (2, 1))
    return torch.stack([top, left, bottom - top + 1, right - left + 1], 1)


def inside_boxes(boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Return masks that are True inside boxes.

    Args:
        boxes: Boxes (N, 4).
        size: Height H and width W of the masks.

    Returns:
        Masks (N, H, W) bool.
    """
    rows, columns = (_offset(boxes, axis, size[axis]) for axis in (0, 1))
    height, width = boxes[:, 2, None], boxes[:, 3, None]
    rows, columns = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    return rows[:, :, None] & columns[:, None]


def resize_boxes(
    maps: Tensor,
    source: Tensor,
    target: Tensor,
    size: Sequence[int],
    align_corners: bool = False,
) -> Tensor:
    """Resize a box of each image bilinearly into a box of the result.

    Equal to :func:`.resize` of each box alone, up to rounding.

    Args:
        maps: Maps (N, C, h, w), float32 or float64.
        source: Boxes (N, 4) in ``maps``.
        target: Boxes (N, 4) in the result.
        size: Height H and width W of the result.
        align_corners: See :func:`torch.nn.functional.interpolate`.

    Returns:
        Maps (N, C, H, W); outside the target box its border is repeated.

    Example:
        >>> maps = torch.tensor([[[[9.0, 0.0, 2.0]]]])
        >>> source, target = torch.tensor([[[0, 1, 1, 2]], [[0, 0, 1, 3]]])
        >>> resize_boxes(maps, source, target, (1, 4), align_corners=True)
        tensor([[[[0., 1., 2., 2.]]]])
    """
    old, new = (boxes[:, 2:].clamp(min=1).to(maps.dtype) for boxes in (source, target))
    ends = old - 1, new - 1
    scale = ends[0] / ends[1].clamp(min=1) if align_corners else old / new
    for axis in (0, 1):
        old_end, new_end, by = (x[:, axis, None] for x in (*ends, scale))
        at = _offset(target, axis, size[axis]).clamp(min=0).minimum(new_end)
        at = at * by if align_corners else ((at + 0.5) * by - 0.5).clamp(min=0)
        low = at.floor().minimum(old_end)
        start = source[:, axis, None]
        first = low.long() + start
        second = (first + 1).minimum(start + old_end.long())
        maps = _blend(maps, first, second, at - low, axis)
    return maps


def _blend(
    maps: Tensor, first: Tensor, second: Tensor, weight: Tensor, axis: int
) -> Tensor:
    """Blend rows (axis 0) or columns of each image: ``(1 - weight) a + weight b``.

    Args:
        maps: Maps (N, C, h, w).
        first: Rows or columns a (N, L) int64 of each image.
        second: Rows or columns b (N, L) int64.
        weight: Weights (N, L) of b in [0, 1].
        axis: 0 or 1.
    """
    shape = list(maps.shape)
    shape[axis + 2] = first.shape[1]
    first, second, weight = (
        x[:, None, :, None] if axis == 0 else x[:, None, None]
        for x in (first, second, weight)
    )
    a, b = (maps.gather(axis + 2, x.expand(shape)) for x in (first, second))
    return torch.lerp(a, b, weight.expand(shape))


def _offset(boxes: Tensor, axis: int, length: int) -> Tensor:
    """Return the distance (N, length) of each row or column from the start of a box."""
    return torch.arange(length, device=boxes.device) - boxes[:, axis, None]
