"""Base of the weakly supervised methods that train a classifier alone."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from mmengine.config import ConfigDict
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value, read_settings

from ...cam import Feats, MultiScaleCAM, build_cam
from ...pseudo_labels import NORMALIZATIONS, normalize_cam
from ...utils import check_unused, log_probability, require_ops, zero_loss
from .parts.pseudo_label_export import (
    PseudoLabel,
    Sources,
    attach_outputs,
    check_sources,
    export_pseudo_labels,
    label_from_cam,
    label_from_prediction,
)
from .parts.settings import WeakTestSettings, WeakTrainSettings


class WeakClassifier(BaseSegmentor):
    """Classifier without decode head that predicts by its class activation maps.

    The classes of a prediction are the tags of a data sample with ``gt_tags``, or else
    those with a probability above 0.5. Their normalized CAMs compete with the constant
    score ``test_cfg.bg_thr`` of the background; ``seg_logits`` are logarithms of these
    scores. With ``mode='slide'`` the CAM is extracted window by window.

    Args:
        backbone: Config of any mmseg or mmpretrain backbone.
        cam_head: Config of the classifier, e.g. ``CAMHead``, with K classes.
        neck: Config of a neck.
        loss_cls: Config of the classification loss, called with (logits, tags).
        background: Whether labels have a background class 0 before the K classes.
        cam_normalization: ``'max'`` or ``'minmax'`` of the predicted and exported CAM,
            see :func:`.normalize_cam`.
        train_cfg: See :class:`.WeakTrainSettings`.
        test_cfg: See :class:`.WeakTestSettings`.
        data_preprocessor: Config of the data preprocessor.
        init_cfg: Initialization.
        pretrained: None; mmseg's ``init_model`` sets it.
        decode_head: ``dict(type='CAMHead')`` in configs, for mmseg's ``get_flops.py``;
            not used.

    Raises:
        KeyError: If ``train_cfg`` or ``test_cfg`` has an unknown key at any depth, or
            ``test_cfg.pseudo_sources`` an unknown source.
        TypeError: If a setting has a wrong type.
        ValueError: If a setting is outside its range.
    """

    align_corners = False
    uses_train_cam: ClassVar[bool] = False

    def __init__(
        self,
        backbone: dict,
        cam_head: dict,
        neck: dict | None = None,
        loss_cls: dict | None = None,
        background: bool = True,
        cam_normalization: str = 'max',
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
        pretrained: None = None,
        decode_head: dict | None = None,
    ) -> None:
        check_unused(pretrained, decode_head, 'cam_head')
        require_ops([backbone, neck])
        check_value('cam_normalization', cam_normalization, choices=NORMALIZATIONS)
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if neck is not None:
            self.neck = MODELS.build(neck)
        self.cam_head = MODELS.build(cam_head)
        self.loss_cls = MODELS.build(loss_cls or {'type': 'MultiLabelSoftMarginLoss'})
        self.has_background = background
        self.num_classes = self.cam_head.num_classes + background
        self.out_channels = self.cam_head.num_classes  # of slide_inference
        train = read_settings(WeakTrainSettings, train_cfg, 'train_cfg')
        if train.cam is not None and not self.uses_train_cam:
            raise ValueError(
                f'{type(self).__name__} makes no pseudo-labels in training: remove '
                'train_cfg.cam; test_cfg.cam extracts the exported CAM'
            )
        test = read_settings(WeakTestSettings, test_cfg, 'test_cfg')
        self.train_cfg = train_cfg
        self.test_cfg = ConfigDict({'mode': 'whole', **(test_cfg or {})})
        self.test_settings = test
        self.train_cam = build_cam(train.cam, MultiScaleCAM(), 'train_cfg.cam')
        self.test_cam = build_cam(test.cam, MultiScaleCAM(), 'test_cfg.cam')
        self.cam_normalization = cam_normalization
        check_sources(test.pseudo_sources, self.pseudo_sources(), self)

    @property
    def decode_head(self) -> 'WeakClassifier':
        """Itself: mmseg's ``init_model`` reads ``decode_head.num_classes``."""
        return self

    whole_inference = EncoderDecoder.whole_inference
    slide_inference = EncoderDecoder.slide_inference

    def extract_feat(self, inputs: Tensor) -> Feats:
        """Extract the features of the backbone and neck, always as a sequence."""
        feats = self.backbone(inputs)
        if self.with_neck:
            feats = self.neck(feats)
        return (feats,) if isinstance(feats, Tensor) else feats

    def classification_losses(self, feats: Feats, tags: Tensor) -> dict[str, Tensor]:
        """Compute ``loss_cls``.

        Feature maps that the classifier does not use get a zero gradient by
        ``loss_idle``, since a backbone or neck may have parameters for a single map.

        Args:
            feats: Features of the backbone and neck.
            tags: Image tags (N, K).
        """
        losses = {'loss_cls': self.loss_cls(self.cam_head(feats), tags)}
        if len(feats) > 1:
            losses['loss_idle'] = zero_loss(feats)
        return losses

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Tensor:
        """Compute tag logits (N, K)."""
        return self.cam_head(self.extract_feat(inputs))

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Extract the CAM (N, K, H, W) at the size of ``inputs``, not normalized."""
        return self.extract_cam(inputs, inputs.shape[2:])

    def extract_cam(self, inputs: Tensor, size: Sequence[int]) -> Tensor:
        """Extract the CAM (N, K, H, W) by ``test_cfg.cam``, not normalized."""
        return self.test_cam(self, inputs, size=size)

    @torch.no_grad()
    def infer_cam(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Extract the CAM (N, K, H, W) by ``test_cfg.mode``, not normalized."""
        slide = self.test_cfg['mode'] == 'slide'
        infer = self.slide_inference if slide else self.whole_inference
        return infer(inputs, batch_img_metas)

    @torch.no_grad()
    def cam_to_prob(
        self, cam: Tensor, inputs: Tensor, batch_img_metas: list[dict]
    ) -> Tensor:
        """Compute scores (N, C, H, W) in [0, 1] from a CAM.

        Args:
            cam: Result of :meth:`infer_cam` (N, K, H, W).
            inputs: Normalized images (N, 3, h, w); they are classified if tags are
                missing.
            batch_img_metas: Meta information of N images, with ``tags`` (K,) if the
                tags are known.
        """
        if all('tags' in meta for meta in batch_img_metas):
            present = torch.stack([meta['tags'] for meta in batch_img_metas])
        else:
            predicted = self(inputs).sigmoid() > 0.5
            present = torch.stack(
                [
                    meta['tags'].to(predicted.device) > 0 if 'tags' in meta else row
                    for meta, row in zip(batch_img_metas, predicted)
                ]
            )
        cam = normalize_cam(cam, present.to(cam), self.cam_normalization)
        if not self.has_background:
            return cam
        background = torch.full_like(cam[:, :1], self.test_settings.bg_thr)
        return torch.cat([background, cam], 1)

    def predict_prob(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict scores (N, C, H, W) in [0, 1], see :meth:`cam_to_prob`."""
        cam = self.infer_cam(inputs, batch_img_metas)
        return self.cam_to_prob(cam, inputs, batch_img_metas)

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute logarithms (N, C, H, W) of the scores of :meth:`predict_prob`."""
        return log_probability(self.predict_prob(inputs, batch_img_metas))

    def predict(self, inputs: Tensor, data_samples: list | None = None) -> list:
        """Predict label maps, and attach the outputs that ``test_cfg`` selects.

        A subclass with another CAM overrides :meth:`extract_cam`.

        Args:
            inputs: Normalized images (N, 3, H, W).
            data_samples: N data samples.

        Returns:
            N data samples with ``pred_sem_seg`` and ``seg_logits``.
        """
        if data_samples is None:
            size = inputs.shape[2:]
            metas = [{'ori_shape': size, 'img_shape': size} for _ in inputs]
            return self.postprocess_result(self.inference(inputs, metas))
        metas = [
            {**s.metainfo, 'tags': s.gt_tags.label}
            if 'gt_tags' in s
            else dict(s.metainfo)
            for s in data_samples
        ]
        cam = self.infer_cam(inputs, metas)
        logits = log_probability(self.cam_to_prob(cam, inputs, metas))
        results = self.postprocess_result(logits, data_samples)
        # The exported CAM is extracted from the whole image, not from windows.
        whole = self.test_cfg['mode'] == 'whole'
        attach_outputs(self, inputs, results, cam if whole else None)
        return results

    def pseudo_sources(self) -> Sources:
        """Return the functions of the pseudo-labels that can be exported, by name."""
        return {'cam': label_from_cam, 'prediction': label_from_prediction}

    def pseudo_labels(
        self, inputs: Tensor, data_samples: list, sources: Sequence[str]
    ) -> list[dict[str, PseudoLabel]]:
        """Compute pseudo-labels, see :func:`.export_pseudo_labels`."""
        return export_pseudo_labels(self, inputs, data_samples, sources)
