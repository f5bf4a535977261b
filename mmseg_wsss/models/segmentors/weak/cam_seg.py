"""Segmentation trained on thresholded class activation maps."""

from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX

from ...cam import PairedCAM, reusable_feats
from ...losses import one_collective
from ...pseudo_labels import cam_to_label
from ...utils import valid_maps
from .base_segmentor import WeakSegmentor
from .parts.dense_energy import build_dense_energy
from .parts.inference_context import InferenceContext
from .parts.local_label import check_thresholds
from .parts.pseudo_label_export import PseudoLabel, Sources, label_from_cam
from .parts.samples import (
    check_background,
    denormalize,
    given_or_made,
    label_ratios,
    stack_tags,
)


@MODELS.register_module()
class CAMSeg(WeakSegmentor):
    """One segmentation head, trained on plain CAMs: the baseline of AFA and TSCD.

    ``L = L_cls + 0.1 L_seg(S, Y) [+ 0.01 L_reg(S, Y)]``, where ``Y`` is the CAM cut at
    two thresholds, without refinement. A mask replaces ``Y`` in both terms. With
    ``masks_only`` no ``Y`` is computed: the masks of a ``SemiDataset`` supervise the
    decode head, and all tags the classifier.

    Args:
        loss_seg: Config of the segmentation loss, called with (logits, label).
        dense_energy: Settings of :class:`.DenseEnergy`; None switches the loss off.
        high_thr: CAM above which a pixel is labeled as an object.
        low_thr: CAM up to which a pixel is labeled as background.
        masks_only: Whether to ignore pixels without a mask, and to extract no CAM.
        train_cfg: ``cam`` is by default the sum over the scales 1, 0.5 and 1.5 in
            AFA's order, :class:`.PairedCAM`.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: If there is no background class, or a setting is out of range.
    """

    default_train_cam = PairedCAM()
    default_cam_normalization = 'minmax'

    def __init__(
        self,
        *args: Any,
        loss_seg: dict | None = None,
        dense_energy: dict | None = None,
        high_thr: float = 0.55,
        low_thr: float = 0.35,
        masks_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_background(self)
        check_thresholds(high_thr, low_thr)
        self.loss_seg = MODELS.build(
            loss_seg or {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 0.1}
        )
        self.dense_energy = build_dense_energy(dense_energy)
        self.high_thr = high_thr
        self.low_thr = low_thr
        self.masks_only = masks_only

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the classification loss and the losses on the thresholded CAM.

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
        label = torch.full(valid.shape, IGNORE_INDEX, device=valid.device)
        if not self.masks_only:
            cam = self.normalized_train_cam(inputs, reusable_feats(self, feats))
            label = self.cut(cam, tags).masked_fill(~valid, IGNORE_INDEX)
        label = given_or_made(label, data_samples)

        losses['loss_ce'] = self.loss_seg(logits, label)
        if self.dense_energy is not None:
            (losses['loss_dense'],) = self.dense_energy([logits], img, valid, label)
        losses |= self.other_head_losses(feats, coarse, label)
        return losses | label_ratios(label, valid)

    def cut(self, cam: Tensor, tags: Tensor) -> Tensor:
        """Cut a CAM (N, K, H, W) at both thresholds; 255 between them."""
        return cam_to_label(cam, tags, high_thr=self.high_thr, low_thr=self.low_thr)

    def pseudo_sources(self) -> Sources:
        """Return the base's sources and ``merged``."""
        return super().pseudo_sources() | {'merged': self.label_from_merged_cam}

    def label_from_merged_cam(self, context: InferenceContext) -> PseudoLabel:
        """Compute the sparse label, as in training, and the maps of the CAM."""
        label = self.cut(context.cam, context.tags)
        return label, label_from_cam(context)[1]
