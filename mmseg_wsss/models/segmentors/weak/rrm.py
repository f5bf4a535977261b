"""Segmentation trained on the reliable part of CRF-refined class activation maps."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...cam import MultiScaleCAM
from ...losses import one_collective
from ...utils import valid_maps
from .base_segmentor import WeakSegmentor
from .parts.dense_energy import build_dense_energy
from .parts.pseudo_label_export import Sources
from .parts.reliable_label import ReliableLabeler, build_label_loss, reliable_sources
from .parts.samples import denormalize, given_or_made, label_ratios, stack_tags


@MODELS.register_module()
class RRM(WeakSegmentor):
    """One segmentation head, trained on the reliable pixels of the classifier's CAM.

    ``L = L_cls + w (L_ce(S, L_A) + L_den(S; L_A))`` with the sparse label ``L_A`` of
    :class:`.ReliableLabeler`: teacher A of ASDT alone. A mask, dense and whole,
    replaces ``L_A`` in both terms. Source: Zhang et al., "Reliability Does Matter",
    section 3, https://arxiv.org/abs/1911.08039.

    Args:
        crf: Config of the CRF of the sparse label.
        reliable: Settings of :class:`.ReliableThresholds`.
        alphas: Exponents of the strong and the weak background score.
        loss_seg: Config of the loss on the sparse label, called with (logits, label).
        dense_energy: Settings of :class:`.DenseEnergy`; None switches the loss off.
        seg_weight: Weight w of both segmentation losses.
        mask_padding: Whether to leave the padding of crops out of the CAM's maximum and
            unlabeled, unlike the released code; the dense energy never includes it.
        train_cfg: ``cam`` is by default the mean over the scales 1, 0.5, 1.5 and 2,
            with dropout, as released.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: If a setting is out of range, or ``loss_seg`` needs a background
            class and there is none.
    """

    default_train_cam = MultiScaleCAM(scales=(1.0, 0.5, 1.5, 2.0), dropout=True)

    def __init__(
        self,
        *args: Any,
        crf: dict | None = None,
        reliable: dict | None = None,
        alphas: Sequence[float] = (4.0, 32.0),
        loss_seg: dict | None = None,
        dense_energy: dict | None = None,
        seg_weight: float = 1.0,
        mask_padding: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_value('seg_weight', seg_weight, at_least=0)
        self.labeler = ReliableLabeler(
            crf, reliable, alphas, self.has_background, self.cam_normalization
        )
        self.loss_seg = build_label_loss(loss_seg, self.has_background)
        self.dense_energy = build_dense_energy(dense_energy)
        self.seg_weight = seg_weight
        self.mask_padding = mask_padding

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the classification loss and the losses on the sparse label.

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
        img = denormalize(inputs, self.data_preprocessor)
        valid = valid_maps(data_samples, inputs)
        used = valid if self.mask_padding else torch.ones_like(valid)
        cam = self.train_cam(self, inputs, feats=[feat.detach() for feat in feats])
        label = self.labeler.sparse_label(cam, tags, img, used)
        label = given_or_made(label, data_samples)

        losses['loss_ce'] = self.seg_weight * self.loss_seg(logits, label)
        dense = logits.sum() * 0.0
        if self.dense_energy is not None:
            (dense,) = self.dense_energy([logits], img, valid, label)
        losses['loss_dense'] = self.seg_weight * dense
        losses |= self.other_head_losses(feats, coarse, label)
        return losses | label_ratios(label, valid)

    def pseudo_sources(self) -> Sources:
        """Return the base's sources, ``cam_crf`` and ``teacher_a``."""
        return super().pseudo_sources() | reliable_sources()
