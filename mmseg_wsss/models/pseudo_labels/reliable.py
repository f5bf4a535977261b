"""Sparse labels of the pixels at which both dense CRF and CAM are confident."""

import torch
from torch import Tensor

from .cam import background_score


@torch.no_grad()
def reliable_labels(
    cam: Tensor,
    tags: Tensor,
    crf_strong: Tensor,
    crf_weak: Tensor | None = None,
    alpha_weak: float = 32.0,
    min_cam: float = 0.1,
    drop_ratio: float = 0.6,
    bg_thr: float = 0.8,
    crf_thr: float = 0.8,
    background: bool = True,
    cam_floor: float = 0.3,
    ignore_index: int = 255,
) -> Tensor:
    """Keep the CRF label of pixels at which both CRF and CAM are confident.

    The CRF is confident if its score is at least ``crf_thr``. The CAM is confident in
    the strongest class if it lies above element ``int(drop_ratio * n)`` of the n sorted
    values above ``min_cam`` of the pixels at which this class is strongest (the top
    40 %), and in the background if this is strongest and above ``bg_thr``; either must
    occur among the labels of ``crf_strong`` in the image. Source: the reliable labels
    of Zhang et al., "Reliability Does Matter" (RRM), https://arxiv.org/abs/1911.08039,
    which are the labels of teacher A in Zhang et al., "Weakly Supervised Semantic
    Segmentation via Alternate Self-Dual Teaching" (ASDT),
    https://arxiv.org/abs/2112.09459.

    Args:
        cam: CAM (N, K, H, W) in [0, 1], normalized per class; compared in float32.
        tags: Image tags (N, K) in {0, 1}.
        crf_strong: CRF marginals (N, C, H, W) with a strong background (alpha 4), 0 for
            absent classes.
        crf_weak: The same with a weak background (alpha 32); not used without a
            background class.
        alpha_weak: Power of the CAM's background score.
        min_cam: CAM values above it count for the order statistic.
        drop_ratio: Ratio of these values that are not confident, in [0, 1).
        bg_thr: Background scores of the CAM above it are confident.
        crf_thr: Scores of the CRF that are at least this large are confident.
        background: False for data without a background class: C = K, class k is label
            k, and the CAM of a pixel is confident above ``cam_floor``.
        cam_floor: See ``background``.
        ignore_index: Label of pixels that are not confident.

    Returns:
        Label (N, H, W) int64 in [0, C) or ``ignore_index``.

    Raises:
        ValueError: If the shapes do not match, ``crf_weak`` is missing, or
            ``drop_ratio`` is outside [0, 1).

    Example:
        >>> cam = torch.tensor([0.95, 0.9, 0.4, 0.0]).view(1, 1, 1, 4)
        >>> tags = torch.ones(1, 1)
        >>> crf = torch.cat([1 - cam, cam], 1)  # in place of a refined CAM
        >>> reliable_labels(cam, tags, crf, crf)
        tensor([[[  1, 255, 255,   0]]])
    """
    _check(cam, tags, crf_strong, crf_weak, background, drop_ratio)
    cam = cam.float() * (tags > 0)[:, :, None, None]
    strength, strongest = cam.max(1)
    label = crf_strong.max(1).indices
    occurring = torch.zeros(label.shape[0], crf_strong.shape[1], device=label.device)
    occurring = occurring.scatter_(1, label.flatten(1), 1.0) > 0

    if background:
        # Foreground under the strong background, and background under the weak one,
        # keep their labels.
        assert crf_weak is not None
        label = label.masked_fill(label == 0, ignore_index)
        label = label.masked_fill(crf_weak.max(1).indices == 0, 0)
        confidence = torch.maximum(crf_weak[:, 0], crf_strong[:, 1:].amax(1))
        score = background_score(cam, alpha_weak)[:, 0]
        strongest = torch.where(score >= strength, 0, strongest + 1)
        counted = (strongest > 0) & (strength > min_cam)
        threshold = _order_statistic(
            strength, strongest, counted, crf_strong.shape[1], drop_ratio
        )
        confident = torch.where(
            strongest == 0, score > bg_thr, counted & (strength > threshold)
        )
    else:
        confidence = crf_strong.amax(1)
        confident = strength > cam_floor

    confident &= occurring.gather(1, strongest.flatten(1)).view_as(confident)
    confident &= confidence >= crf_thr
    return label.masked_fill(~confident, ignore_index)


def _order_statistic(
    value: Tensor, group: Tensor, counted: Tensor, num_groups: int, ratio: float
) -> Tensor:
    """Return element ``int(ratio * n)`` of the n counted values of a group, sorted.

    All images and groups share one sort of integer keys, since a loop over classes
    would wait for the device: the group, then the bits of the float32 value, which
    increase with the value if it is not negative.

    Args:
        value: Values (N, H, W) float32; counted ones are above 0.
        group: Group of each pixel (N, H, W) int64 in [0, num_groups).
        counted: Mask (N, H, W) bool of the counted pixels.
        num_groups: Number of groups G.
        ratio: In [0, 1).

    Returns:
        Element of the group of each pixel, (N, H, W); arbitrary if n is 0.
    """
    value, counted = value.flatten(1), counted.flatten(1)
    bucket = torch.where(counted, group.flatten(1), num_groups)
    key = (bucket << 32) + value.contiguous().view(torch.int32)
    order = key.argsort(1)
    count = bucket.new_zeros(len(value), num_groups + 1)
    count = count.scatter_add_(1, bucket, torch.ones_like(bucket))
    # The released code takes int(0.6 * n) with Python's double precision.
    position = count.cumsum(1) - count + (ratio * count.double()).long()
    position = position.clamp(max=value.shape[1] - 1)
    element = value.gather(1, order.gather(1, position))
    return element.gather(1, group.flatten(1)).view_as(group)


def _check(
    cam: Tensor,
    tags: Tensor,
    crf_strong: Tensor,
    crf_weak: Tensor | None,
    background: bool,
    drop_ratio: float,
) -> None:
    n, k, h, w = cam.shape
    if tags.shape != (n, k):
        raise ValueError(
            f'tags must have shape {(n, k)} as the cam, got {tuple(tags.shape)}'
        )
    expected = (n, k + background, h, w)
    for name, prob in (('crf_strong', crf_strong), ('crf_weak', crf_weak)):
        if prob is None:
            if background and name == 'crf_weak':
                raise ValueError('crf_weak is needed with a background class')
        elif tuple(prob.shape) != expected:
            raise ValueError(
                f'{name} must have shape {expected} (background={background}), got '
                f'{tuple(prob.shape)}'
            )
    if not 0 <= drop_ratio < 1:
        raise ValueError(f'drop_ratio must be in [0, 1), got {drop_ratio}')
