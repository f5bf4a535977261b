"""Class activation maps: merging, normalization, thresholds, without gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..utils import at_least_float32, inside_boxes, resize

MERGES = ('mean', 'sum', 'max')
NORMALIZATIONS = ('max', 'minmax')


@torch.no_grad()
def merge_cams(
    cams: Sequence[Tensor], size: Sequence[int], how: str = 'mean'
) -> Tensor:
    """Resize maps of several scales to one size and merge them pixel by pixel.

    Args:
        cams: At least one map (N, K, h, w); h and w may differ.
        size: Height and width of the result (bilinear, ``align_corners=False``).
        how: ``'mean'`` (RRM and ASDT over scales), ``'sum'`` (AFA and TSCD over scales)
            or ``'max'`` (AFA and TSCD over an image and its mirror image).

    Returns:
        Map (N, K, H, W), float32 or wider.

    Raises:
        ValueError: If there is no map, or ``how`` is unknown.

    Example:
        >>> cams = [torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 4, 4)]
        >>> merge_cams(cams, (1, 2))
        tensor([[[[0.5000, 0.5000]]]])
    """
    if how not in MERGES:
        raise ValueError(f'how must be one of {MERGES}, got {how!r}')
    if not cams:
        raise ValueError('cams must hold at least one map, got none')
    merged = resize(cams[0], size)
    for cam in cams[1:]:
        cam = resize(cam, size)
        merged = torch.maximum(merged, cam) if how == 'max' else merged + cam
    return merged / len(cams) if how == 'mean' else merged


@torch.no_grad()
def normalize_cam(
    cam: Tensor, tags: Tensor | None = None, mode: str = 'max', eps: float = 1e-5
) -> Tensor:
    """Scale every map of every image to [0, 1].

    Args:
        cam: Map (N, K, H, W), at least 0 in mode ``'max'``.
        tags: Image tags (N, K) in {0, 1}; maps of absent classes become 0.
        mode: ``'max'`` divides by the maximum over the pixels plus ``eps`` (RRM, ASDT);
            ``'minmax'`` subtracts the minimum first (AFA, TSCD).
        eps: Added to the divisor; a map of zeros stays 0.

    Returns:
        Map (N, K, H, W) in [0, 1), float32 or wider.

    Raises:
        ValueError: If ``mode`` is unknown.

    Example:
        >>> normalize_cam(torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 1, 3), mode='minmax')
        tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    if mode not in NORMALIZATIONS:
        raise ValueError(f'mode must be one of {NORMALIZATIONS}, got {mode!r}')
    cam = at_least_float32(cam)
    if mode == 'minmax':
        cam = cam - cam.amin((2, 3), keepdim=True)
    scale = cam.amax((2, 3), keepdim=True) + eps
    if tags is not None:
        scale = scale.masked_fill((tags <= 0)[:, :, None, None], torch.inf)
    return cam / scale


@torch.no_grad()
def background_score(cam: Tensor, alpha: float) -> Tensor:
    """Compute the background score ``(1 - max_c M_c) ** alpha`` of a CAM.

    Source: PSA, https://arxiv.org/abs/1803.10464; RRM and ASDT use it with alpha 4 and
    32, https://arxiv.org/abs/1911.08039.

    Args:
        cam: Map (N, K, H, W) in [0, 1], 0 for absent classes.
        alpha: Power, above 0; a larger one means a weaker background.

    Returns:
        Score (N, 1, H, W) in [0, 1].

    Example:
        >>> background_score(torch.tensor([[[[0.5]], [[0.25]]]]), alpha=2)
        tensor([[[[0.2500]]]])
    """
    return (1 - cam.amax(1, keepdim=True)).clamp(min=0) ** alpha


@torch.no_grad()
def cam_to_label(
    cam: Tensor,
    tags: Tensor,
    bg_thr: float = 0.45,
    high_thr: float | None = None,
    low_thr: float | None = None,
    img_box: Tensor | Sequence[Sequence[int]] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Convert CAMs to label maps by thresholds.

    The label is the strongest class among the tags. With ``high_thr`` and ``low_thr``,
    pixels of at most ``low_thr`` are background, and pixels above it, but of at most
    ``high_thr``, are ignored. Without them, pixels of at most ``bg_thr`` are
    background. Source: AFA, https://arxiv.org/abs/2203.02664.

    Args:
        cam: Map (N, K, H, W) in [0, 1].
        tags: Image tags (N, K) in {0, 1}.
        bg_thr: Background threshold, used without the other two.
        high_thr: Upper end of the ignored band.
        low_thr: Lower end of the ignored band, at most ``high_thr``.
        img_box: Unpadded areas (N, 4) as (row0, row1, col0, col1), ends excluded.
        ignore_index: Label of the ignored band and of pixels outside ``img_box``.

    Returns:
        Label (N, H, W) int64: 0 for background, k + 1 for class k, ``ignore_index``.

    Raises:
        ValueError: If only one of two thresholds is given, or they are swapped.

    Example:
        >>> cam = torch.tensor([0.9, 0.5, 0.1]).view(1, 1, 1, 3)
        >>> tags = torch.ones(1, 1)
        >>> cam_to_label(cam, tags)
        tensor([[[1, 1, 0]]])
        >>> cam_to_label(cam, tags, high_thr=0.55, low_thr=0.35)
        tensor([[[  1, 255,   0]]])
    """
    if (high_thr is None) != (low_thr is None):
        raise ValueError(
            'high_thr and low_thr go together, got '
            f'high_thr={high_thr} and low_thr={low_thr}'
        )
    strength, label = (cam * (tags > 0)[:, :, None, None]).max(1)
    label = label + 1
    if high_thr is None or low_thr is None:
        label = label.masked_fill(strength <= bg_thr, 0)
    else:
        if low_thr > high_thr:
            raise ValueError(
                f'low_thr must be at most high_thr={high_thr}, got {low_thr}'
            )
        label = label.masked_fill(strength <= high_thr, ignore_index)
        label = label.masked_fill(strength <= low_thr, 0)
    if img_box is not None:
        row0, row1, col0, col1 = torch.as_tensor(img_box, device=label.device).unbind(1)
        boxes = torch.stack([row0, col0, row1 - row0, col1 - col0], 1)
        inside = inside_boxes(boxes, label.shape[1:])
        label = label.masked_fill(~inside, ignore_index)
    return label
