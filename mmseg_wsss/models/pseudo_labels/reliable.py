"""Sparse labels of the pixels on which dense CRF and CAM are both sure."""

import torch
from torch import Tensor

from .cam import background_score


@torch.no_grad()
def reliable_labels(
    cam: Tensor,
    tags: Tensor,
    crf_low: Tensor,
    crf_high: Tensor | None = None,
    alpha_high: float = 32.0,
    min_cam: float = 0.1,
    drop_ratio: float = 0.6,
    bg_thr: float = 0.8,
    crf_thr: float = 0.8,
    background: bool = True,
    cam_floor: float = 0.3,
    valid: Tensor | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Teacher A's label ``L_A`` (asdt.md, section 5.1, steps 2 to 5).

    A pixel keeps its CRF label if the CRF is sure of it (score at least ``crf_thr``)
    and the CAM is: its strongest class, which must occur among the CRF labels of the
    image, lies above element ``int(drop_ratio * n)`` of the n sorted values above
    ``min_cam`` where this class is strongest (the top 40 %), or the background is
    strongest and above ``bg_thr``.

    Args:
        cam: CAM (N, K, H, W) in [0, 1], normalized per class; compared in float32.
        tags: Image tags (N, K) in {0, 1}.
        crf_low: CRF marginals (N, C, H, W) with weak background (alpha 4), 0 for
            absent classes.
        crf_high: The same with strong background (alpha 32); not used without a
            background class.
        alpha_high: Power of the CAM's background score.
        min_cam: Smallest CAM value that counts for the order statistic.
        drop_ratio: Share of these values that is not sure, in [0, 1).
        bg_thr: Smallest sure background score of the CAM (excluded).
        crf_thr: Smallest sure score of the CRF (included).
        background: False for data without a background class (section 10): C = K,
            class k is label k, and a pixel's CAM is sure above ``cam_floor``.
        cam_floor: See ``background``.
        valid: Pixels (N, H, W) bool inside the image; the others are ignored.
        ignore_index: Label of pixels that are not sure.

    Returns:
        Label (N, H, W) int64 in [0, C) or ``ignore_index``.

    Raises:
        ValueError: If shapes do not fit, ``crf_high`` is missing, or ``drop_ratio`` is
            outside [0, 1).
    """
    _check(cam, tags, crf_low, crf_high, background, drop_ratio)
    cam = cam.float() * (tags > 0)[:, :, None, None]
    strength, strongest = cam.max(1)
    label = crf_low.max(1).indices
    occurring = torch.zeros(label.shape[0], crf_low.shape[1], device=label.device)
    occurring = occurring.scatter_(1, label.flatten(1), 1.0) > 0

    if background:
        assert crf_high is not None
        label = label.masked_fill(label == 0, ignore_index)
        label = label.masked_fill(crf_high.max(1).indices == 0, 0)
        confidence = torch.maximum(crf_high[:, 0], crf_low[:, 1:].amax(1))
        score = background_score(cam, alpha_high)[:, 0]
        strongest = torch.where(score >= strength, 0, strongest + 1)
        counted = (strongest > 0) & (strength > min_cam)
        threshold = _order_statistic(
            strength, strongest, counted, crf_low.shape[1], drop_ratio
        )
        sure = torch.where(
            strongest == 0, score > bg_thr, counted & (strength > threshold)
        )
    else:
        confidence = crf_low.amax(1)
        sure = strength > cam_floor

    sure &= occurring.gather(1, strongest.flatten(1)).view_as(sure)
    sure &= confidence >= crf_thr
    if valid is not None:
        sure &= valid
    return label.masked_fill(~sure, ignore_index)


def _order_statistic(
    value: Tensor, group: Tensor, counted: Tensor, num_groups: int, ratio: float
) -> Tensor:
    """Element ``int(ratio * n)`` of the n counted values of a group, in rising order.

    All images and groups share one sort of integer keys: the group, then the bits of
    the float32 value, which rise with the value as long as it is not negative.

    Args:
        value: Values (N, H, W) float32; counted ones are above 0.
        group: Group of each pixel (N, H, W) int64 in [0, num_groups).
        counted: Pixels (N, H, W) bool that take part.
        num_groups: Number of groups G.
        ratio: In [0, 1).

    Returns:
        The element of each pixel's own group, (N, H, W); arbitrary where n is 0.
    """
    value, counted = value.flatten(1), counted.flatten(1)
    bucket = torch.where(counted, group.flatten(1), num_groups)
    key = (bucket << 32) + value.contiguous().view(torch.int32)
    order = key.argsort(1)
    count = bucket.new_zeros(len(value), num_groups + 1)
    count = count.scatter_add_(1, bucket, torch.ones_like(bucket))
    # int(ratio * n) of the specification is a product in double precision
    position = count.cumsum(1) - count + (ratio * count.double()).long()
    position = position.clamp(max=value.shape[1] - 1)
    element = value.gather(1, order.gather(1, position))
    return element.gather(1, group.flatten(1)).view_as(group)


def _check(
    cam: Tensor,
    tags: Tensor,
    crf_low: Tensor,
    crf_high: Tensor | None,
    background: bool,
    drop_ratio: float,
) -> None:
    n, k, h, w = cam.shape
    if tags.shape != (n, k):
        raise ValueError(
            f'tags must have shape {(n, k)} as the cam, got {tuple(tags.shape)}'
        )
    expected = (n, k + background, h, w)
    for name, prob in (('crf_low', crf_low), ('crf_high', crf_high)):
        if prob is None:
            if background and name == 'crf_high':
                raise ValueError('crf_high is needed where there is a background class')
        elif tuple(prob.shape) != expected:
            raise ValueError(
                f'{name} must have shape {expected} (background={background}), got '
                f'{tuple(prob.shape)}'
            )
    if not 0 <= drop_ratio < 1:
        raise ValueError(f'drop_ratio must be in [0, 1), got {drop_ratio}')
