"""Gated dense energy: similar pixels should have similar predictions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..utils import opaque, resize, resize_labels, scaled_size
from .gaussian_sum import gaussian_sum

BACKENDS = ('matmul', 'triton')


def dense_energy_losses(
    probs: Sequence[Tensor],
    img: Tensor,
    roi: Tensor,
    pseudo: Tensor,
    sigma_rgb: float = 15.0,
    sigma_xy: float = 100.0,
    scale_factor: float = 0.5,
    weight: float = 1.0,
    ignore_index: int = 255,
    backend: str = 'matmul',
) -> tuple[Tensor, ...]:
    """Compute the gated dense energy of several heads on the same images.

    All inputs are first resized by ``scale_factor``: probabilities bilinearly, the rest
    by nearest neighbor. Then, with sums over all pixels i and j of an image::

        Gate_i = clip(ROI_i - max_k S_ik, min=0);  1 where the label is ignored
        S'     = S ROI
        w_ij   = exp(-|p_i - p_j|^2 / 2 sxy^2 - |I_i - I_j|^2 / 2 srgb^2)
        A_ik   = sum_j w_ij S'_jk                  (with j = i)
        L      = -(weight / N) sum_ik S'_ik Gate_i A_ik
        dL/dS_ik := -(2 weight / N) Gate_i A_ik ROI_i     (the gate is a constant)

    The kernel w depends on the image alone and is computed once for all heads. Its sum
    is exact; the permutohedral lattice of the published implementations yields 0.54 to
    0.61 of it on photographs, 0.58 on average, so ``weight=5.8e-8`` here is about as
    strong as 1e-7 there. Source: the dense CRF loss of Tang et al., "On Regularized
    Losses for Weakly-supervised CNN Segmentation", https://arxiv.org/abs/1803.09569,
    with the gate of Zhang et al., "Reliability Does Matter" (RRM),
    https://arxiv.org/abs/1911.08039.

    Args:
        probs: For each head, probabilities (N, C, H, W); C may differ.
        img: Colors (N, 3, H, W) in 0..255.
        roi: Region of interest (N, H, W): 1 or True inside the image, 0 in padding.
        pseudo: Label (N, H, W); all that matters is whether it is ``ignore_index``.
        sigma_rgb: Standard deviation srgb in color levels, above 0.
        sigma_xy: Standard deviation in pixels of the full size, above 0; sxy is
            ``sigma_xy * scale_factor``.
        scale_factor: Resize factor, in (0, 1].
        weight: Weight of the loss.
        ignore_index: Label of pixels with gate 1.
        backend: ``'matmul'`` sums by matrix products with tiles of the kernel, on any
            device; ``'triton'`` is a CUDA kernel for float32 that never stores the
            weights of pairs. It has not been measured on a GPU.

    Returns:
        One scalar (at most 0) for each head, in float32 or wider.

    Raises:
        ValueError: If the shapes do not match, ``probs`` is empty, or an argument is
            out of range.
        TypeError: If an input is float64 and ``backend`` is ``'triton'``.

    Example:
        >>> prob = torch.rand(1, 3, 8, 8).softmax(1)
        >>> img = torch.rand(1, 3, 8, 8) * 255
        >>> roi = torch.ones(1, 8, 8)
        >>> pseudo = torch.full((1, 8, 8), 255)
        >>> losses = dense_energy_losses([prob, 1 - prob], img, roi, pseudo)
        >>> len(losses)
        2
    """
    _check(probs, img, roi, pseudo, sigma_rgb, sigma_xy, scale_factor, backend)
    size = scaled_size(img.shape[2:], scale_factor)
    scores = [resize(prob, size) for prob in probs]
    dtype = scores[0].dtype
    img = resize_labels(img.to(dtype).flatten(0, 1), size).unflatten(0, img.shape[:2])
    inside = resize_labels(roi.to(dtype), size)[:, None]
    ignored = resize_labels(pseudo == ignore_index, size)[:, None]

    sums = _energy_sums(
        torch.cat([score.detach() * inside for score in scores], 1),
        img / sigma_rgb,
        inside[:, 0] > 0,
        sigma_xy * scale_factor,
        backend,
    ).split([score.shape[1] for score in scores], 1)
    losses = []
    for score, total in zip(scores, sums):
        # The gate closes on confident pixels, and is open on unlabeled ones.
        confidence = score.detach().amax(1, keepdim=True)
        gate = (inside - confidence).clamp(min=0).masked_fill(ignored, 1.0)
        losses.append(weight * _GatedEnergy.apply(score, inside * gate * total))
    return tuple(losses)


def dense_energy_loss(
    prob: Tensor,
    img: Tensor,
    roi: Tensor,
    pseudo: Tensor,
    sigma_rgb: float = 15.0,
    sigma_xy: float = 100.0,
    scale_factor: float = 0.5,
    weight: float = 1.0,
    ignore_index: int = 255,
    backend: str = 'matmul',
) -> Tensor:
    """Compute the gated dense energy of one head; see :func:`dense_energy_losses`.

    Args:
        prob: Probabilities (N, C, H, W).
        img: Colors (N, 3, H, W) in 0..255.
        roi: Region of interest (N, H, W): 1 or True inside the image, 0 in padding.
        pseudo: Label (N, H, W); all that matters is whether it is ``ignore_index``.
        sigma_rgb: Standard deviation in color levels, above 0.
        sigma_xy: Standard deviation in pixels of the full size, above 0.
        scale_factor: Resize factor, in (0, 1].
        weight: Weight of the loss.
        ignore_index: Label of pixels with gate 1.
        backend: ``'matmul'`` or ``'triton'``.

    Returns:
        Scalar, at most 0, in float32 or wider.

    Raises:
        ValueError: If the shapes do not match, or an argument is out of range.
        TypeError: If an input is float64 and ``backend`` is ``'triton'``.

    Example:
        >>> prob = torch.ones(1, 1, 2, 2)
        >>> img = torch.zeros(1, 3, 2, 2)  # one color: every pair has weight 1
        >>> pseudo = torch.full((1, 2, 2), 255)
        >>> roi = torch.ones(1, 2, 2)
        >>> dense_energy_loss(prob, img, roi, pseudo, sigma_xy=1e6, scale_factor=1.0)
        tensor(-16.)
    """
    (loss,) = dense_energy_losses(
        [prob],
        img,
        roi,
        pseudo,
        sigma_rgb,
        sigma_xy,
        scale_factor,
        weight,
        ignore_index,
        backend,
    )
    return loss


class _GatedEnergy(torch.autograd.Function):
    """``-(1/N) sum S pull``, with twice its derivative as the gradient.

    The energy is quadratic in S, but ``pull`` (the gate times ``A``, which contains the
    second S) is a constant here: the factor 2 accounts for the derivative with respect
    to that S.
    """

    @staticmethod
    def forward(ctx: Any, score: Tensor, pull: Tensor) -> Tensor:
        ctx.save_for_backward(pull)
        return -(score * pull).sum() / len(score)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (pull,) = ctx.saved_tensors
        return grad * (-2 / len(pull)) * pull, None


@opaque(lambda values, *_: values.new_empty(values.shape))
@torch.no_grad()
def _energy_sums(
    values: Tensor, color: Tensor, inside: Tensor, sigma_xy: float, backend: str
) -> Tensor:
    """Compute the sums ``A`` of every image, over its pixels inside the ROI.

    Args:
        values: Values (N, L, h, w), 0 outside the ROI.
        color: Colors (N, 3, h, w), divided by their standard deviation.
        inside: Mask (N, h, w) bool of the ROI.
        sigma_xy: Standard deviation in pixels of this size.
        backend: ``'matmul'`` or ``'triton'``.

    Returns:
        Sums (N, L, h, w); unspecified outside the ROI.
    """
    height, width = values.shape[2:]
    rows = torch.arange(height, device=values.device, dtype=values.dtype) / sigma_xy
    cols = torch.arange(width, device=values.device, dtype=values.dtype) / sigma_xy
    place = torch.stack(torch.meshgrid(rows, cols, indexing='ij'))
    feat = torch.cat([place.expand(len(color), -1, -1, -1), color], 1).flatten(2)
    lines = values.flatten(2)
    if backend == 'triton':
        from .gaussian_sum_triton import gaussian_sums  # only where Triton is installed

        return gaussian_sums(feat, lines).view_as(values)
    sums = torch.zeros_like(lines)
    for total, line, point, mask in zip(sums, lines, feat, inside.flatten(1)):
        if mask.device.type == 'cpu':  # padding costs no time
            total[:, mask] = gaussian_sum(point[:, mask].t(), line[:, mask])
        else:  # boolean indexing would make the host wait
            total.copy_(gaussian_sum(point.t(), line))
    return sums.view_as(values)


def _check(
    probs: Sequence[Tensor],
    img: Tensor,
    roi: Tensor,
    pseudo: Tensor,
    sigma_rgb: float,
    sigma_xy: float,
    scale_factor: float,
    backend: str,
) -> None:
    n, _, h, w = img.shape
    maps = [('roi', roi), ('pseudo', pseudo)]
    for name, tensor in [*maps, *(('prob', prob[:, 0]) for prob in probs)]:
        if tuple(tensor.shape) != (n, h, w):
            raise ValueError(
                f'{name} must be a map of the {n} images of {h} x {w} pixels, got '
                f'one of shape {tuple(tensor.shape)}'
            )
    if not probs:
        raise ValueError('probs must hold the probabilities of at least one head')
    for name, value in (('sigma_rgb', sigma_rgb), ('sigma_xy', sigma_xy)):
        if value <= 0:
            raise ValueError(f'{name} must be above 0, got {value}')
    if not 0 < scale_factor <= 1:
        raise ValueError(f'scale_factor must be in (0, 1], got {scale_factor}')
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {BACKENDS}, got {backend!r}')
    if backend == 'triton' and any(prob.dtype == torch.float64 for prob in probs):
        raise TypeError("backend 'triton' needs float32 or half precision, got float64")
