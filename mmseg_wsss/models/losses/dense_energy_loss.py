from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmseg_wsss.registry import MODELS

from ..utils import resize, resize_labels, scaled_size
from .gaussian_sum import gaussian_sum


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
) -> tuple[Tensor, ...]:
    """Gated dense energy of several heads that look at the same images.

    Everything is reduced by ``scale_factor`` first: probabilities bilinearly, the rest
    by nearest neighbor. Then, with sums over all pixels i and j of an image
    (asdt.md, section 6.3)::

        Gate_i = clip(ROI_i - max_k S_ik, min=0);  1 where the label is ignored
        S'     = S ROI
        w_ij   = exp(-|p_i - p_j|^2 / 2 sxy^2 - |I_i - I_j|^2 / 2 srgb^2)
        A_ik   = sum_j w_ij S'_jk                  (with j = i)
        L      = -(weight / N) sum_ik S'_ik Gate_i A_ik
        dL/dS_ik := -(2 weight / N) Gate_i A_ik ROI_i     (the gate is a constant)

    The kernel w depends on the image alone and is made once for all heads. Its sum is
    exact, not a lattice's, which gives about 0.615 of it; ``weight`` carries such
    factors (6.15e-8 for the published strength).

    Args:
        probs: For each head, probabilities (N, K, H, W); K may differ.
        img: Colors (N, 3, H, W) in 0..255.
        roi: 1 or True inside the image, 0 in padding (N, H, W).
        pseudo: Label (N, H, W); only whether it is ``ignore_index`` counts.
        sigma_rgb: Standard deviation srgb in color levels.
        sigma_xy: Standard deviation in pixels of the full size; sxy is
            ``sigma_xy * scale_factor``.
        scale_factor: Factor of the size, in (0, 1].
        weight: Factor of the loss.
        ignore_index: Label of pixels whose gate is open.

    Returns:
        A scalar (at most 0) for each head, in float32 or wider.

    Raises:
        ValueError: If shapes do not fit, or a standard deviation or the factor is out
            of range.
    """
    _check(probs, img, roi, pseudo, sigma_rgb, sigma_xy, scale_factor)
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
    ).split([score.shape[1] for score in scores], 1)
    losses = []
    for score, total in zip(scores, sums):
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
) -> Tensor:
    """Gated dense energy of one head; see :func:`dense_energy_losses`.

    Args:
        prob: Probabilities (N, K, H, W).
        img: Colors (N, 3, H, W) in 0..255.
        roi: 1 or True inside the image, 0 in padding (N, H, W).
        pseudo: Label (N, H, W); only whether it is ``ignore_index`` counts.
        sigma_rgb: Standard deviation in color levels.
        sigma_xy: Standard deviation in pixels of the full size.
        scale_factor: Factor of the size, in (0, 1].
        weight: Factor of the loss.
        ignore_index: Label of pixels whose gate is open.

    Returns:
        Scalar, at most 0.
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
    )
    return loss


@MODELS.register_module()
class DenseEnergyLoss(nn.Module):
    """Module of :func:`dense_energy_loss`.

    Args:
        loss_weight: Factor of the loss; 6.15e-8 is ASDT's published strength.
        sigma_rgb: Standard deviation in color levels.
        sigma_xy: Standard deviation in pixels of the full size.
        scale_factor: Factor of the size, in (0, 1].
        ignore_index: Label of pixels whose gate is open.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        sigma_rgb: float = 15.0,
        sigma_xy: float = 100.0,
        scale_factor: float = 0.5,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.sigma_rgb = sigma_rgb
        self.sigma_xy = sigma_xy
        self.scale_factor = scale_factor
        self.ignore_index = ignore_index

    def forward(self, prob: Tensor, img: Tensor, roi: Tensor, pseudo: Tensor) -> Tensor:
        """Scalar loss of one head's probabilities (N, K, H, W)."""
        return dense_energy_loss(
            prob,
            img,
            roi,
            pseudo,
            self.sigma_rgb,
            self.sigma_xy,
            self.scale_factor,
            self.loss_weight,
            self.ignore_index,
        )


class _GatedEnergy(torch.autograd.Function):
    """``-(1/N) sum S pull``, with twice its own derivative as the gradient."""

    @staticmethod
    def forward(ctx: Any, score: Tensor, pull: Tensor) -> Tensor:
        ctx.save_for_backward(pull)
        return -(score * pull).sum() / len(score)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (pull,) = ctx.saved_tensors
        return grad * (-2 / len(pull)) * pull, None


@torch.no_grad()
@torch.compiler.disable
def _energy_sums(
    values: Tensor, color: Tensor, inside: Tensor, sigma_xy: float
) -> Tensor:
    """Sums ``A`` of every image, over the pixels inside it and for them.

    Args:
        values: Values (N, L, h, w).
        color: Colors (N, 3, h, w), divided by their standard deviation.
        inside: Pixels (N, h, w) bool; padding costs no time.
        sigma_xy: Standard deviation in pixels of this size.

    Returns:
        Sums (N, L, h, w), 0 outside.
    """
    height, width = values.shape[2:]
    rows = torch.arange(height, device=values.device, dtype=values.dtype) / sigma_xy
    cols = torch.arange(width, device=values.device, dtype=values.dtype) / sigma_xy
    place = torch.stack(torch.meshgrid(rows, cols, indexing='ij'))
    sums = torch.zeros_like(values)
    for total, value, paint, mask in zip(sums, values, color, inside):
        feat = torch.cat([place, paint])[:, mask].t()
        total[:, mask] = gaussian_sum(feat, value[:, mask])
    return sums


def _check(
    probs: Sequence[Tensor],
    img: Tensor,
    roi: Tensor,
    pseudo: Tensor,
    sigma_rgb: float,
    sigma_xy: float,
    scale_factor: float,
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
