"""TSCD: self correspondence distillation."""

from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...cam import PairedCAM, reusable_feats
from ...losses import equivariant_loss, one_collective
from ...utils import extents, rescale, resize, resize_labels, valid_maps
from .base_segmentor import WeakSegmentor
from .parts.dense_energy import build_dense_energy
from .parts.local_label import (
    BackgroundPairLabeler,
    affinity_grid,
    build_affinity_head,
    local_sources,
)
from .parts.pseudo_label_export import Sources
from .parts.samples import (
    check_background,
    denormalize,
    given_or_made,
    label_ratios,
    stack_tags,
)

LOSS_SCD = {'type': 'SelfCorrespondenceLoss', 'loss_weight': 0.1}


@MODELS.register_module()
class TSCD(WeakSegmentor):
    """CAMs refined by VARM, and correspondences between two views.

    ``L = L_cls + 0.1 L_seg(S, Y) + 0.1 L_aux(A, Y) + 0.1 L_scd [+ 0.01 L_reg]
    [+ 0.1 L_er]`` with the label ``Y`` of :class:`.BackgroundPairLabeler`. The second
    view is the batch at ``view_scale``: correlations between the CAMs at random points
    of both views are the target of correlations between the logits of the decode head
    at these points. The affinity ``A`` is trained, but not used in labels. A mask
    replaces ``Y``; ``L_scd`` and ``L_er`` compare CAMs and have no label to replace.
    Source: Xu et al., "Self Correspondence Distillation for End-to-End
    Weakly-Supervised Semantic Segmentation", https://arxiv.org/abs/2302.13765.

    Args:
        affinity_head: Config of the affinity head, see :func:`.build_affinity_head`;
            not symmetric by default, as released.
        refiner: Config of the refiner; VARM by default.
        loss_seg: Config of the segmentation loss, called with (logits, label).
        loss_affinity: Config of the affinity loss.
        loss_scd: Config of the correspondence loss, with STEGO's ``shift``; None
            switches it off.
        dense_energy: Settings of :class:`.DenseEnergy`; None switches the loss off.
        high_thr: High background score.
        low_thr: Low background score.
        refine_scale: Size of the image that guides the refiner, relative to the crop.
        radius: Largest step of the random walk of the source ``affinity``.
        view_scale: Size of the second view, relative to the crop.
        n_points: Number of random points of each view, drawn independently.
        mask_by_label: Whether to set CAMs of absent tags to 0 in the correspondence
            loss; the released code does not.
        valid_only: Whether to draw points only inside the image; the released code also
            draws them in padding.
        er_mode: Equivariant regularization L_er of the CAMs. ``'off'``: none (in the
            released code it has no gradient); ``'grad'``: mean difference of the
            single-scale CAMs of both views, with a gradient in both.
        er_weight: Weight of L_er.
        train_align_corners: ``align_corners`` of the logits' resizing in the losses,
            True as released; by default the decode head's, which predictions always
            use.
        train_cfg: ``cam`` is by default the sum over the scales 1, 0.5 and 1.5,
            :class:`.PairedCAM`.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: If there is no background class, or a setting is out of range.
    """

    default_train_cam = PairedCAM()
    default_cam_normalization = 'minmax'

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        refiner: dict | None = None,
        loss_seg: dict | None = None,
        loss_affinity: dict | None = None,
        loss_scd: dict | None = LOSS_SCD,
        dense_energy: dict | None = None,
        high_thr: float = 0.55,
        low_thr: float = 0.35,
        refine_scale: float = 0.5,
        radius: int = 8,
        view_scale: float = 0.3,
        n_points: int = 1600,
        mask_by_label: bool = False,
        valid_only: bool = False,
        er_mode: str = 'off',
        er_weight: float = 0.1,
        train_align_corners: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_background(self)
        check_value('view_scale', view_scale, above=0)
        check_value('n_points', n_points, at_least=1)
        check_value('er_mode', er_mode, choices=('off', 'grad'))
        check_value('er_weight', er_weight, at_least=0)
        self.loss_seg = MODELS.build(
            loss_seg or {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 0.1}
        )
        self.dense_energy = build_dense_energy(dense_energy)
        self.affinity_head = build_affinity_head(
            {'symmetric': False, **(affinity_head or {})}, self
        )
        self.labeler = BackgroundPairLabeler(
            MODELS.build(refiner or {'type': 'LocalAffinityRefiner', 'kind': 'varm'}),
            high_thr,
            low_thr,
            refine_scale,
            radius,
        )
        self.loss_affinity = MODELS.build(
            loss_affinity or {'type': 'AffinityLoss', 'loss_weight': 0.1}
        )
        self.loss_scd = MODELS.build(loss_scd) if loss_scd else None
        self.view_scale = view_scale
        self.n_points = n_points
        self.mask_by_label = mask_by_label
        self.valid_only = valid_only
        self.er_mode = er_mode
        self.er_weight = er_weight
        if train_align_corners is None:
            train_align_corners = self.align_corners
        self.train_align_corners = train_align_corners

    @property
    def second_view(self) -> bool:
        """Whether a loss compares the batch with its small second view."""
        return self.loss_scd is not None or self.er_mode != 'off'

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses on the pseudo-label and between both views.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``, and masks ``gt_sem_seg`` of
                some images.
        """
        tags = stack_tags(data_samples)
        feats = self.extract_feat(inputs)
        losses = {'loss_cls': self.loss_cls(self.cam_head(feats), tags)}
        if self.warmup:
            return losses | self.idle_loss()

        coarse = self.decode_head(feats)
        logits = self.upsample(coarse, inputs)
        affinity = self.affinity_head(feats)
        img = denormalize(inputs, self.data_preprocessor)
        valid = valid_maps(data_samples, inputs)
        cam = self.normalized_train_cam(inputs, reusable_feats(self, feats))
        label = given_or_made(self.labeler(cam, tags, img, valid), data_samples)

        small = resize_labels(label, affinity_grid(self.affinity_head, feats))
        losses['loss_affinity'] = self.loss_affinity(affinity, small)
        losses['loss_ce'] = self.loss_seg(logits, label)
        if self.dense_energy is not None:
            (losses['loss_dense'],) = self.dense_energy([logits], img, valid, label)
        losses |= self.other_head_losses(feats, coarse, label)
        losses |= label_ratios(label, valid)

        if not self.second_view:
            return losses
        view = rescale(inputs, self.view_scale, align_corners=True)
        view_feats = self.extract_feat(view)
        if self.loss_scd is not None:
            # Before the CAM, which in train mode updates the batch statistics too.
            view_logits = self.upsample(self.decode_head(view_feats), view)
            view_cam = self.normalized_train_cam(view, reusable_feats(self, view_feats))
            if self.mask_by_label:
                cam, view_cam = (c * tags[:, :, None, None] for c in (cam, view_cam))
            points = [self.random_points(valid) for _ in range(2)]
            losses['loss_scd'] = self.loss_scd(
                cam, logits, view_cam, view_logits, *points
            )
        if self.er_mode == 'grad':
            losses['loss_er'] = self.er_weight * equivariant_loss(
                self.cam_head.cam(feats), self.cam_head.cam(view_feats), tags
            )
        return losses

    def upsample(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """Resize logits to the size of ``inputs`` in float32, for a loss (bilinear)."""
        return resize(logits.float(), inputs.shape[2:], self.train_align_corners)

    def random_points(self, valid: Tensor) -> Tensor:
        """Draw uniform points (N, P, 2) as (x, y) in [-1, 1].

        Args:
            valid: Mask (N, H, W) bool of the image. With ``valid_only`` the points lie
                in its bounding box; without any valid pixel, anywhere.
        """
        points = torch.rand(len(valid), self.n_points, 2, device=valid.device)
        if not self.valid_only:
            return 2 * points - 1
        lows, highs = zip(*(_extent(valid.any(dim)) for dim in (1, 2)))
        low, high = torch.stack(lows, 1)[:, None], torch.stack(highs, 1)[:, None]
        return low + points * (high - low)

    def pseudo_sources(self) -> Sources:
        """Return the base's sources, ``merged``, ``cam_refined`` and ``affinity``."""
        return super().pseudo_sources() | local_sources()


def _extent(inside: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last True of each row (N, L) in [-1, 1].

    A row without True gives the whole range.
    """
    length = inside.shape[1]
    first, last = extents(inside)
    empty = last < 0
    scale = 2 / max(length - 1, 1)
    low, high = first * scale - 1, last * scale - 1
    return low.masked_fill(empty, -1.0), high.masked_fill(empty, 1.0)
