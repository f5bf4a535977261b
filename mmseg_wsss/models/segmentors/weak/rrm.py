"""Segmentation trained on the reliable part of CRF-refined class activation maps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import dense_energy_losses
from ...pseudo_labels import (
    background_score,
    merge_cams,
    normalize_cam,
    present_classes,
    reliable_labels,
)
from .inference_context import InferenceContext
from .wsss_base import PseudoLabel, WSSSBase


@MODELS.register_module()
class RRM(WSSSBase):
    """One segmentation head on the sparse labels of the classifier (asdt.md, 5.1, 6).

    ``L = L_cls + L_ce(S, L_A) + L_den(S; L_A)``: multi-scale CAMs are refined by a
    dense CRF with a weak and a strong background, and only pixels on which CRF and CAM
    are sure keep their label. This is ASDT's teacher A and its ablation (a).

    Args:
        crf: Config of the CRF of the sparse label.
        reliable: Thresholds of :func:`reliable_labels`.
        alphas: Powers of the weak and the strong background score.
        loss_seg: Config of the loss on the sparse label, called with (logits, label).
        dense_energy: Arguments of :func:`dense_energy_losses`, ``weight`` among them;
            None switches the term off.
        seg_weight: Weight of both segmentation losses.
        train_cfg: ``cam`` defaults to the scales 1, 0.5, 1.5 and 2, the mean of them,
            with dropout, as released.
        **kwargs: Arguments of :class:`WSSSBase`.
    """

    def __init__(
        self,
        *args: Any,
        crf: dict | None = None,
        reliable: dict | None = None,
        alphas: tuple[float, float] = (4.0, 32.0),
        loss_seg: dict | None = None,
        dense_energy: dict | None = None,
        seg_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.crf = MODELS.build(crf or {'type': 'DenseCRF'})
        self.reliable = reliable or {}
        self.alphas = tuple(alphas)
        self.loss_seg = MODELS.build(
            loss_seg or {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 2.0}
        )
        self.dense_energy = dense_energy
        self.seg_weight = seg_weight
        self.train_cam: dict[str, Any] = {
            'scales': (1.0, 0.5, 1.5, 2.0),
            'dropout': True,
            **(self.train_cfg or {}).get('cam', {}),
        }

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Losses of the decode head on the sparse label."""
        coarse = self.decode_head(feats)
        logits = self.upsample(coarse, inputs)
        img, valid = self.denormalize(inputs), self.valid(data_samples, inputs)
        label = self.sparse_label(inputs, feats, tags, img, valid)
        losses = {'loss_ce': self.seg_weight * self.loss_seg(logits, label)}
        (dense,) = self.dense_losses([logits], img, valid, label)
        losses['loss_dense'] = self.seg_weight * dense
        losses |= self.mmseg_head_losses(feats, coarse, label)
        return losses | self.label_shares(label, valid)

    @torch.no_grad()
    def sparse_label(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        img: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Teacher A's label (N, H, W): sure pixels of the multi-scale CAM, else 255."""
        feats = [feat.detach() for feat in feats]
        cam = self.multi_scale_cam(inputs, feats=feats, **self.train_cam)
        # Not finite weights shall stop the training by a loss, not inside the CRF.
        cam = merge_cams([cam], inputs.shape[2:]).nan_to_num(0.0, 0.0, 0.0)
        cam = cam * valid[:, None]
        label, _ = self.refine_cam(normalize_cam(cam, tags), tags, img)
        return label.masked_fill(~valid, 255)

    @torch.compiler.disable
    def refine_cam(
        self, cam: Tensor, tags: Tensor, img: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sparse label of a normalized CAM, and the CRF output with weak background.

        Args:
            cam: CAM (N, K, H, W) in [0, 1].
            tags: Tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.

        Returns:
            Label (N, H, W) int64 with 255 where it is not reliable, and CRF marginals
            (N, C, H, W).
        """
        scores = cam[:, None].expand(-1, len(self.alphas), -1, -1, -1)
        if self.has_background:
            powers = [background_score(cam, alpha) for alpha in self.alphas]
            scores = torch.cat([torch.stack(powers, 1), scores], 2)
        present = present_classes(tags, self.has_background)
        refined = self.crf(img, scores, class_mask=present)
        low, high = refined.unbind(1)
        label = reliable_labels(
            cam,
            tags,
            low,
            high,
            alpha_high=self.alphas[1],
            background=self.has_background,
            **self.reliable,
        )
        return label, low

    def dense_losses(
        self, logits: list[Tensor], img: Tensor, valid: Tensor, label: Tensor
    ) -> Sequence[Tensor]:
        """Dense energy of several heads, which share the kernel of the images."""
        if self.dense_energy is None:
            return [logit.sum() * 0.0 for logit in logits]
        probs = [logit.softmax(1) for logit in logits]
        return dense_energy_losses(probs, img, valid, label, **self.dense_energy)

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """CAM, its CRF-refined label, teacher A's sparse label and the prediction."""
        return super().pseudo_sources() | {
            'cam_crf': self.label_from_cam_crf,
            'teacher_a': self.label_from_teacher_a,
        }

    def label_from_teacher_a(self, context: InferenceContext) -> PseudoLabel:
        """Sparse label, as the heads are trained on."""
        return self.refine_cam(context.cam, context.tags, context.img)

    def label_from_cam_crf(self, context: InferenceContext) -> PseudoLabel:
        """Dense label: the CRF-refined CAM with the weak background."""
        _, low = self.refine_cam(context.cam, context.tags, context.img)
        return self.hard_label(low, context.tags), low
