"""Segmentation trained on thresholded class activation maps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import dense_energy_losses
from ...pseudo_labels import cam_to_label, normalize_cam
from ...utils import matches_eval_mode
from .inference_context import InferenceContext
from .wsss_base import PseudoLabel, WSSSBase


@MODELS.register_module()
class CAMSeg(WSSSBase):
    """One segmentation head on plain CAMs (tscd.md, section 12, "CAM + seg").

    ``L = L_cls + 0.1 L_seg(S, Y) [+ 0.01 L_reg(S, Y)]``, where ``Y`` is the CAM cut at
    two thresholds: the baseline of AFA and TSCD, which refine the CAM first.

    Args:
        loss_seg: Config of the segmentation loss, called with (logits, label).
        dense_energy: Arguments of :func:`dense_energy_losses`, ``weight`` among them;
            None switches the term off.
        high_thr: CAM above which a pixel is an object.
        low_thr: CAM up to which it is background.
        train_cfg: ``cam`` defaults to the scales 1, 0.5 and 1.5, flipped, ``paired``,
            the sum of them, as released.
        **kwargs: Arguments of :class:`WSSSBase`.

    Raises:
        ValueError: If there is no background class, or the thresholds are swapped.
    """

    cam_normalization = 'minmax'

    def __init__(
        self,
        *args: Any,
        loss_seg: dict | None = None,
        dense_energy: dict | None = None,
        high_thr: float = 0.55,
        low_thr: float = 0.35,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if not self.has_background:
            raise ValueError(
                f'{type(self).__name__} tells objects from the background: decode_head '
                f'needs {self.cam_head.num_classes + 1} classes, got {self.num_classes}'
            )
        if low_thr > high_thr:
            raise ValueError(
                f'low_thr must be at most high_thr={high_thr}, got {low_thr}'
            )
        self.loss_seg = MODELS.build(
            loss_seg or {'type': 'BalancedCrossEntropyLoss', 'loss_weight': 0.1}
        )
        self.dense_energy = dense_energy
        self.high_thr = high_thr
        self.low_thr = low_thr
        self.train_cam: dict[str, Any] = {
            'scales': (1.0, 0.5, 1.5),
            'flip': True,
            'merge': 'sum',
            'paired': True,
            **(self.train_cfg or {}).get('cam', {}),
        }

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Losses of the decode head on the pseudo-label."""
        coarse = self.decode_head(feats)
        logits = self.upsample(coarse, inputs)
        img, valid = self.denormalize(inputs), self.valid(data_samples, inputs)
        cam = self.train_cams(inputs, self.known_feats(feats))
        label = self.merged_label(cam, tags, img, valid)
        return self.seg_losses(feats, coarse, logits, label, img, valid)

    def seg_losses(
        self,
        feats: Sequence[Tensor],
        coarse: Tensor,
        logits: Tensor,
        label: Tensor,
        img: Tensor,
        valid: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of the decode head on a pseudo-label (N, H, W), and diagnostics."""
        losses = {'loss_ce': self.loss_seg(logits, label)}
        if self.dense_energy is not None:
            (losses['loss_dense'],) = dense_energy_losses(
                [logits.softmax(1)], img, valid, label, **self.dense_energy
            )
        losses |= self.mmseg_head_losses(feats, coarse, label)
        return losses | self.label_shares(label, valid)

    def known_feats(self, feats: Sequence[Tensor]) -> dict[float, Sequence[Tensor]]:
        """Features that the CAM at scale 1 can do with, out of those that are trained.

        None where training makes them differ from those of inference, by drop path for
        example, or where the CAM takes part in the batch statistics.
        """
        trunk = [self.backbone, *([self.neck] if self.with_neck else [])]
        if self.train_cam.get('train_mode') or not all(map(matches_eval_mode, trunk)):
            return {}
        return {1.0: [feat.detach() for feat in feats]}

    @torch.no_grad()
    def train_cams(
        self, inputs: Tensor, known: Mapping[float, Sequence[Tensor]]
    ) -> Tensor:
        """CAM (N, K, H, W) in [0, 1] of all classes, of the size of ``inputs``."""
        size = inputs.shape[2:]
        cam = self.multi_scale_cam(inputs, size=size, feats=known, **self.train_cam)
        # Not finite weights shall stop the training by a loss, not inside a refiner.
        return normalize_cam(cam, mode=self.cam_normalization).nan_to_num(0.0)

    @torch.no_grad()
    def merged_label(
        self, cam: Tensor, tags: Tensor, img: Tensor, valid: Tensor | None = None
    ) -> Tensor:
        """Label ``Y`` (N, H, W), 255 between both thresholds or in padding.

        Args:
            cam: CAM (N, K, H, W) in [0, 1].
            tags: Image tags (N, K).
            img: Colors (N, 3, H, W) in 0..255, for methods that refine the CAM.
            valid: Pixels (N, H, W) that show the image; all by default.
        """
        label = cam_to_label(cam, tags, high_thr=self.high_thr, low_thr=self.low_thr)
        return label if valid is None else label.masked_fill(~valid, 255)

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """CAM, prediction and the label of the training."""
        return super().pseudo_sources() | {'merged': self.label_from_merged_cam}

    def label_from_merged_cam(self, context: InferenceContext) -> PseudoLabel:
        """Sparse label ``Y`` of the whole image, and the map of the CAM."""
        label = self.merged_label(context.cam, context.tags, context.img)
        return label, self.label_from_cam(context)[1]
