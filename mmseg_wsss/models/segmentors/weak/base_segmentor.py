"""Base of the weakly supervised methods that train a segmentation head."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from mmseg.utils import add_prefix
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value, read_settings

from ...cam import CAMExtractor, Feats, MultiScaleCAM, build_cam
from ...decode_heads import auxiliary_losses
from ...pseudo_labels import NORMALIZATIONS, fuse_cam, hard_label, normalize_cam
from ...utils import Phase, check_class_scores, require_ops, resize, zero_loss
from .parts.inference_context import InferenceContext
from .parts.pseudo_label_export import (
    PseudoLabel,
    Sources,
    attach_outputs,
    check_sources,
    export_pseudo_labels,
    label_from_cam,
    label_from_prediction,
)
from .parts.settings import SegmentorTestSettings, SegmentorTrainSettings


class WeakSegmentor(EncoderDecoder):
    """Base class of mmseg segmentors with a classifier, trained from image tags.

    A method implements :meth:`loss`, and adds the pseudo-labels that it can export to
    :meth:`pseudo_sources`. Prediction works as in any mmseg segmentor (``whole``,
    ``slide``, test-time augmentation).

    Args:
        backbone: Config of any mmseg or mmpretrain backbone.
        decode_head: Config of any mmseg decode head, with K + 1 classes (background
            first), or K for a dataset without a background class. A list of two is a
            head and a cascade head that refines it, such as ``PointHead``.
        cam_head: Config of the classifier, e.g. ``CAMHead``, with K classes.
        loss_cls: Config of the classification loss, called with (logits, tags).
        train_cfg: See :class:`.SegmentorTrainSettings`.
        test_cfg: See :class:`.WeakTestSettings`.
        cam_normalization: ``'max'`` or ``'minmax'`` of the CAM, see
            :func:`.normalize_cam`; None for the default of the method.
        **kwargs: Arguments of mmseg's ``EncoderDecoder``.

    Raises:
        KeyError: If ``train_cfg`` or ``test_cfg`` has an unknown key at any depth, or
            ``test_cfg.pseudo_sources`` an unknown source.
        TypeError: If a setting has a wrong type.
        ValueError: If a setting is outside its range, or ``decode_head`` has one output
            channel.
    """

    warmup = Phase("dict(type='WeakWarmupHook', iters=0)")
    default_train_cam: ClassVar[CAMExtractor] = MultiScaleCAM()
    default_cam_normalization: ClassVar[str] = 'max'
    test_settings_class: ClassVar[type[SegmentorTestSettings]] = SegmentorTestSettings

    def __init__(
        self,
        backbone: dict,
        decode_head: dict | list[dict],
        cam_head: dict,
        loss_cls: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        cam_normalization: str | None = None,
        **kwargs: object,
    ) -> None:
        require_ops([backbone, decode_head, kwargs])
        normalization = cam_normalization or self.default_cam_normalization
        check_value('cam_normalization', normalization, choices=NORMALIZATIONS)
        train = read_settings(SegmentorTrainSettings, train_cfg, 'train_cfg')
        test = read_settings(self.test_settings_class, test_cfg, 'test_cfg')
        super().__init__(
            backbone,
            decode_head,
            train_cfg=ConfigDict(vars(train)),
            test_cfg=ConfigDict(vars(test)),
            **kwargs,
        )
        check_class_scores(self)
        self.cam_head = MODELS.build(cam_head)
        self.loss_cls = MODELS.build(loss_cls or {'type': 'MultiLabelSoftMarginLoss'})
        self.has_background = self.num_classes > self.cam_head.num_classes
        self.test_settings = test
        self.cam_normalization = normalization
        self.train_cam = build_cam(train.cam, self.default_train_cam, 'train_cfg.cam')
        self.test_cam = build_cam(test.cam, MultiScaleCAM(), 'test_cfg.cam')
        check_sources(test.pseudo_sources, self.pseudo_sources(), self)

    def _init_decode_head(self, decode_head: dict | list[dict]) -> None:
        head, *refiners = (
            decode_head if isinstance(decode_head, list) else [decode_head]
        )
        super()._init_decode_head(head)
        if len(refiners) > 1:
            raise ValueError(
                f'decode_head may have one refining head, got {len(refiners)}'
            )
        self.refine_head = MODELS.build(refiners[0]) if refiners else None

    def extract_feat(self, inputs: Tensor) -> Feats:
        """Extract the features of the backbone and neck, always as a sequence."""
        feats = super().extract_feat(inputs)
        return (feats,) if isinstance(feats, Tensor) else feats

    def idle_loss(self) -> dict[str, Tensor]:
        """Return a loss of 0 that gives every trainable parameter a gradient.

        In the warm-up the segmentation heads are part of no other loss.
        """
        return {'loss_idle': zero_loss(self.parameters())}

    def upsample(self, logits: Tensor, inputs: Tensor) -> Tensor:
        """Resize logits to the size of ``inputs`` in float32 (bilinear)."""
        return resize(logits.float(), inputs.shape[2:], self.align_corners)

    @torch.no_grad()
    def normalized_train_cam(
        self, inputs: Tensor, feats: Mapping[float, Feats]
    ) -> Tensor:
        """Extract the CAM of a training step at the size of ``inputs``.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            feats: Precomputed features, by scale.

        Returns:
            CAM (N, K, H, W) in [0, 1] of all classes.
        """
        cam = self.train_cam(self, inputs, size=inputs.shape[2:], feats=feats)
        # Non-finite weights must surface in a loss, not inside a refiner.
        return normalize_cam(cam, mode=self.cam_normalization).nan_to_num(0.0)

    def other_head_losses(
        self, feats: Feats, logits: Tensor, label: Tensor
    ) -> dict[str, Tensor]:
        """Compute the losses of mmseg's refining and auxiliary heads.

        Args:
            feats: Features of the backbone and neck.
            logits: Logits (N, C, h, w) of the decode head.
            label: Pseudo-label (N, H, W) int64, 255 for unlabeled pixels.
        """
        samples = [SegDataSample(gt_sem_seg=PixelData(data=row[None])) for row in label]
        losses: dict[str, Tensor] = {}
        if self.refine_head is not None:
            refine = self.refine_head.loss(feats, logits, samples, self.train_cfg)
            losses |= add_prefix(refine, 'refine')
        if self.with_auxiliary_head:
            losses |= auxiliary_losses(self, feats, samples)
        return losses

    def decode(self, feats: Feats, batch_img_metas: list[dict]) -> Tensor:
        """Decode features into logits (N, C, H, W) at the size of the image."""
        if self.refine_head is None:
            return self.decode_head.predict(feats, batch_img_metas, self.test_cfg)
        return self.refine_head.predict(
            feats, self.decode_head(feats), batch_img_metas, self.test_cfg
        )

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute logits (N, C, H, W) at the size of ``inputs``."""
        return self.decode(self.extract_feat(inputs), batch_img_metas)

    def encode_prob(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute probabilities (N, C, H, W) at the size of ``inputs``."""
        return self.logits_to_prob(self.encode_decode(inputs, batch_img_metas))

    def logits_to_prob(self, logits: Tensor) -> Tensor:
        """Convert logits of :meth:`encode_decode` to probabilities in float32."""
        return logits.float().softmax(1)

    def predict_prob(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict probabilities (N, C, H, W) by ``test_cfg.mode``."""
        if self.test_cfg['mode'] == 'slide':
            logits = self.slide_inference(inputs, batch_img_metas)
            return self.logits_to_prob(logits)
        return self.encode_prob(inputs, batch_img_metas)

    def extract_cam(self, inputs: Tensor, size: Sequence[int]) -> Tensor:
        """Extract the CAM (N, K, H, W) by ``test_cfg.cam``, not normalized."""
        return self.test_cam(self, inputs, size=size)

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict as mmseg does, and attach the outputs that ``test_cfg`` selects."""
        results = super().predict(inputs, data_samples)
        if data_samples is not None:
            attach_outputs(self, inputs, results)
        return results

    def pseudo_sources(self) -> Sources:
        """Return the functions of the pseudo-labels that can be exported, by name."""
        return {
            'cam': label_from_cam,
            'fused_cam': self.label_from_fused_cam,
            'prediction': label_from_prediction,
        }

    def pseudo_labels(
        self, inputs: Tensor, data_samples: list, sources: Sequence[str]
    ) -> list[dict[str, PseudoLabel]]:
        """Compute pseudo-labels, see :func:`.export_pseudo_labels`."""
        return export_pseudo_labels(self, inputs, data_samples, sources)

    def label_from_fused_cam(self, context: InferenceContext) -> PseudoLabel:
        """Fuse prediction and CAM, given the tags, by :func:`.fuse_cam`."""
        constants = vars(self.test_settings.fused_cam)
        prob = fuse_cam(context.prob, context.cam, context.tags, **constants)
        return hard_label(prob, context.tags), prob
