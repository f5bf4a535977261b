"""TSCD: self correspondence distillation (Xu et al., AAAI 2023; tscd.md)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import equivariant_loss
from ...utils import scaled_size
from .afa import AFA


@MODELS.register_module()
class TSCD(AFA):
    """AFA with VARM for a refiner, and with correspondences between two views.

    ``L = L_cls + 0.1 L_seg(S, Y) + 0.1 L_aux(A, Y) + 0.1 L_scd [+ 0.01 L_reg]
    [+ 0.1 L_er]``. The second view is the batch at ``view_scale``: correlations between
    the CAMs at random points of both views are the target of correlations between the
    logits of the decode head at these points.

    Args:
        affinity_head: As in :class:`AFA`; not symmetric by default, as released.
        refiner: Config of the refiner; VARM by default.
        loss_scd: Config of the correspondence loss, with STEGO's ``shift``; None
            switches the term off.
        view_scale: Size of the second view.
        n_points: Random points of each view, drawn independently.
        mask_by_label: Whether CAMs of absent tags are 0 in the correspondence loss; as
            released they are not.
        valid_only: Whether points are drawn inside the image; as released padding
            takes part.
        er_mode: Equivariant regularisation of the CAMs. ``'off'``: none, as released,
            where the term has no gradient; ``'grad'``: mean difference of the
            single-scale CAMs of both views with a gradient in both.
        er_weight: Its weight.
        **kwargs: Arguments of :class:`AFA`.
    """

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        refiner: dict | None = None,
        loss_scd: dict | None = {  # noqa: B006
            'type': 'SelfCorrespondenceLoss',
            'loss_weight': 0.1,
        },
        view_scale: float = 0.3,
        n_points: int = 1600,
        mask_by_label: bool = False,
        valid_only: bool = False,
        er_mode: str = 'off',
        er_weight: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            affinity_head={'symmetric': False, **(affinity_head or {})},
            refiner=refiner or {'type': 'LocalAffinityRefiner', 'kind': 'varm'},
            **kwargs,
        )
        if er_mode not in ('off', 'grad'):
            raise ValueError(f"er_mode must be 'off' or 'grad', got {er_mode!r}")
        self.loss_scd = MODELS.build(loss_scd) if loss_scd else None
        self.view_scale = view_scale
        self.n_points = n_points
        self.mask_by_label = mask_by_label
        self.valid_only = valid_only
        self.er_mode = er_mode
        self.er_weight = er_weight

    def view_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        logits: Tensor,
        cam: Tensor,
        tags: Tensor,
        valid: Tensor,
    ) -> dict[str, Tensor]:
        """Losses between the batch and its smaller view."""
        losses: dict[str, Tensor] = {}
        if self.loss_scd is None and self.er_mode == 'off':
            return losses
        size = scaled_size(inputs.shape[2:], self.view_scale)
        view = F.interpolate(inputs, size, mode='bilinear', align_corners=True)
        view_feats = self.extract_feat(view)
        if self.loss_scd is not None:
            cams = [cam, self.train_cams(view, self.known_feats(view_feats))]
            if self.mask_by_label:
                cams = [item * tags[:, :, None, None] for item in cams]
            view_logits = self.upsample(self.decode_head(view_feats), view)
            points = [self.random_points(valid) for _ in cams]
            losses['loss_scd'] = self.loss_scd(
                cams[0], logits, cams[1], view_logits, *points
            )
        if self.er_mode == 'grad':
            losses['loss_er'] = self.er_weight * equivariant_loss(
                self.cam_head.cam(feats), self.cam_head.cam(view_feats), tags
            )
        return losses

    def random_points(self, valid: Tensor) -> Tensor:
        """Uniform points (N, P, 2) as (x, y) in [-1, 1].

        Args:
            valid: Pixels (N, H, W) of the image, whose box holds the points if
                ``valid_only``; everything where an image has none.
        """
        points = torch.rand(len(valid), self.n_points, 2, device=valid.device)
        if not self.valid_only:
            return 2 * points - 1
        lows, highs = zip(*(_extent(valid.any(dim)) for dim in (1, 2)))
        low, high = torch.stack(lows, 1)[:, None], torch.stack(highs, 1)[:, None]
        return low + points * (high - low)


def _extent(inside: Tensor) -> tuple[Tensor, Tensor]:
    """First and last True of each row (N, L) in [-1, 1]; the whole row without any."""
    length = inside.shape[1]
    empty = ~inside.any(1)
    first = inside.byte().argmax(1)
    last = length - 1 - inside.flip(1).byte().argmax(1)
    scale = 2 / max(length - 1, 1)
    low, high = first * scale - 1, last * scale - 1
    return low.masked_fill(empty, -1.0), high.masked_fill(empty, 1.0)
