"""ASDT: alternate self-dual teaching."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import check_value, setting

from ...cam import MultiScaleCAM
from ...decode_heads import fuse_probabilities
from ...losses import one_collective, soft_cross_entropy, valid_cross_entropy
from ...pseudo_labels import hard_label, present_classes, tag_filter
from ...utils import (
    Phase,
    channel_argmax,
    check_class_scores,
    log_probability,
    valid_maps,
)
from .base_segmentor import WeakSegmentor
from .parts.dense_energy import build_dense_energy
from .parts.inference_context import InferenceContext
from .parts.pseudo_label_export import PseudoLabel, Sources
from .parts.reliable_label import ReliableLabeler, build_label_loss, reliable_sources
from .parts.samples import denormalize, given_or_made, label_ratios, stack_tags
from .parts.settings import SegmentorTestSettings

CRF_B = {
    'type': 'DenseCRF',
    'bilateral_sxy': 83.0,
    'bilateral_srgb': 5.0,
    'bilateral_compat': 4.0,
}


@dataclass(frozen=True)
class ASDTTestSettings(SegmentorTestSettings):
    """Settings of ``test_cfg`` of :class:`ASDT`."""

    fuse: str = setting('max', choices=('max', 'mean', 'student', 'teacher'))


@MODELS.register_module()
class ASDT(WeakSegmentor):
    """Two teachers and a student on one backbone, without EMA or frozen copies.

    Teacher A is the classifier: its CAMs give the sparse label ``L_A``, see
    :class:`.ReliableLabeler`. Teacher B (``teacher_head``, output S1) is trained on
    ``L_A``, and its CRF-refined output is the dense label ``L_B``. The student
    (``decode_head``, output S2) is supervised by A, and by B while the pulse-width
    modulated signal ``pwm_high`` is high (``PWMDistillationHook``)::

        L = L_cls + beta [L_ce(S1, L_A) + L_den(S1; L_A)] + (1 - beta) L_stu
        low:  L_stu = L_ce(S2, L_A) + L_den(S2; L_A)
        high: L_stu = w_pgt CE(S2, L_B) + L_den(S2; L_A)

    A mask, dense and whole, replaces ``L_A`` and ``L_B`` of its image. Source: Zhang et
    al., "Weakly Supervised Semantic Segmentation via Alternate Self-Dual Teaching",
    https://arxiv.org/abs/2112.09459.

    Args:
        teacher_head: Config of teacher B's decode head.
        crf: Config of the CRF of the sparse label.
        reliable: Settings of :class:`.ReliableThresholds`.
        alphas: Exponents of the strong and the weak background score.
        loss_seg: Config of the loss on the sparse label, called with (logits, label).
        dense_energy: Settings of :class:`.DenseEnergy`; None switches the loss off.
        crf_b: Config of the CRF of the dense label.
        branch_weights: Weights of teacher B's and of the student's losses,
            (beta, 1 - beta) in the formula.
        distill_weight: ``w_pgt``.
        distill_mode: ``'hard'`` trains on the argmax of the refined output, ``'soft'``
            on the refined probabilities.
        distill_keep_dense: Whether the student's dense energy stays on while the
            signal is high.
        tag_filter: Whether ``L_B`` and exported masks are limited to tagged classes.
        crf_guide: ``'crop'``, or ``'resized_full'`` for the guide of the released code:
            the whole original image, resized to the crop and so not aligned with it.
        mask_padding: Whether to leave the padding of crops out of the CAM's maximum and
            unlabeled, unlike the released code; the dense energy never includes it.
        train_cfg: ``cam`` is by default the mean over the scales 1, 0.5, 1.5 and 2,
            with dropout, as released.
        test_cfg: See :class:`.WeakTestSettings`, and ``fuse``: ``'max'`` of the
            probabilities of both heads, not renormalized (as released), ``'mean'``,
            ``'student'`` or ``'teacher'``.
        **kwargs: Arguments of :class:`WeakSegmentor`.

    Raises:
        ValueError: If a setting is out of range, or ``loss_seg`` needs a background
            class and there is none.
    """

    pwm_high = Phase("dict(type='PWMDistillationHook')")
    default_train_cam = MultiScaleCAM(scales=(1.0, 0.5, 1.5, 2.0), dropout=True)
    test_settings_class = ASDTTestSettings
    test_settings: ASDTTestSettings

    def __init__(
        self,
        *args: Any,
        teacher_head: dict,
        crf: dict | None = None,
        reliable: dict | None = None,
        alphas: Sequence[float] = (4.0, 32.0),
        loss_seg: dict | None = None,
        dense_energy: dict | None = None,
        crf_b: dict | None = None,
        branch_weights: Sequence[float] = (0.5, 0.5),
        distill_weight: float = 0.1,
        distill_mode: str = 'hard',
        distill_keep_dense: bool = True,
        tag_filter: bool = False,
        crf_guide: str = 'crop',
        mask_padding: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_value('branch_weights', branch_weights, at_least=0, length=2)
        check_value('distill_weight', distill_weight, at_least=0)
        check_value('distill_mode', distill_mode, choices=('hard', 'soft'))
        check_value('crf_guide', crf_guide, choices=('crop', 'resized_full'))
        self.labeler = ReliableLabeler(
            crf, reliable, alphas, self.has_background, self.cam_normalization
        )
        self.loss_seg = build_label_loss(loss_seg, self.has_background)
        self.dense_energy = build_dense_energy(dense_energy)
        self.fuse = self.test_settings.fuse
        self.teacher_head = MODELS.build(teacher_head)
        check_class_scores(self.teacher_head)
        self.crf_b = MODELS.build(crf_b or CRF_B)
        self.branch_weights = tuple(branch_weights)
        self.distill_weight = distill_weight
        self.distill_mode = distill_mode
        self.distill_keep_dense = distill_keep_dense
        self.tag_filter = tag_filter
        self.crf_guide = crf_guide
        self.mask_padding = mask_padding

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of the classifier, of teacher B and of the student.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``, and masks ``gt_sem_seg`` of
                some images.
        """
        tags = stack_tags(data_samples)
        feats = self.extract_feat(inputs)
        losses = {'loss_cls': self.loss_cls(self.cam_head(feats), tags)}
        # Read before the return, so a missing PWMDistillationHook fails at step 1.
        high = self.pwm_high
        if self.warmup:
            return losses | self.idle_loss()

        teacher = self.upsample(self.teacher_head(feats), inputs)
        coarse = self.decode_head(feats)
        student = self.upsample(coarse, inputs)
        img = denormalize(inputs, self.data_preprocessor)
        valid = valid_maps(data_samples, inputs)
        used = valid if self.mask_padding else torch.ones_like(valid)
        cam = self.train_cam(self, inputs, feats=[feat.detach() for feat in feats])
        label_a = self.labeler.sparse_label(cam, tags, img, used)
        label_a = given_or_made(label_a, data_samples)

        dense_b, dense_s = teacher.sum() * 0.0, student.sum() * 0.0
        if self.dense_energy is not None:
            heads = [teacher, student]
            dense_b, dense_s = self.dense_energy(heads, img, valid, label_a)
        if high:
            guide = self.crf_guide_of(img, data_samples)
            # Non-finite logits surface in loss_teacher_ce.
            prob = teacher.detach().softmax(1).nan_to_num(0.0)
            prob_b = self.refine_by_crf(prob, tags, guide)
            label = self.label_b(prob_b, tags).masked_fill(~used, IGNORE_INDEX)
            made = label, prob_b
            label, prob_b = (given_or_made(part, data_samples) for part in made)
            ce_student = self.distill_weight * self.distill(student, prob_b, label)
            dense_s = dense_s * float(self.distill_keep_dense)
        else:
            label = label_a
            ce_student = self.loss_seg(student, label)

        weight_b, weight_s = self.branch_weights
        losses |= {
            'loss_teacher_ce': weight_b * self.loss_seg(teacher, label_a),
            'loss_teacher_dense': weight_b * dense_b,
            'loss_student_ce': weight_s * ce_student,
            'loss_student_dense': weight_s * dense_s,
            'pwm': inputs.new_full((), float(high)),
        }
        losses |= self.other_head_losses(feats, coarse, label)
        return losses | label_ratios(label_a, valid)

    def distill(self, logits: Tensor, prob_b: Tensor, label_b: Tensor) -> Tensor:
        """Compute the cross entropy of the student against teacher B.

        Args:
            logits: Logits (N, C, H, W) of the student.
            prob_b: Refined probabilities (N, C, H, W) of teacher B, or masks.
            label_b: Their label (N, H, W), 255 in padding.
        """
        if self.distill_mode == 'soft':
            return soft_cross_entropy(logits, prob_b, label_b != IGNORE_INDEX)
        return valid_cross_entropy(logits, label_b)

    @torch.no_grad()
    @torch.compiler.disable
    def refine_by_crf(self, prob: Tensor, tags: Tensor | None, img: Tensor) -> Tensor:
        """Refine probabilities (N, C, H, W) by the CRF ``crf_b``, without gradient.

        The input is teacher B, or both heads fused. Tags (N, K) are used with
        ``tag_filter`` only.
        """
        present = None
        if self.tag_filter and tags is not None:
            present = present_classes(tags, self.has_background)
            prob = tag_filter(prob, tags)
        return self.crf_b(img, prob, class_mask=present)

    def label_b(self, prob: Tensor, tags: Tensor | None) -> Tensor:
        """Return the label (N, H, W) of refined probabilities."""
        if self.tag_filter and tags is not None:
            return hard_label(prob, tags)
        return channel_argmax(prob)

    def crf_guide_of(self, img: Tensor, data_samples: list) -> Tensor:
        """Return the RGB images that guide the CRF of the dense label.

        Raises:
            KeyError: If ``crf_guide='resized_full'`` and a data sample has no
                ``full_img``.
        """
        if self.crf_guide == 'crop':
            return img
        missing = [s.img_path for s in data_samples if 'full_img' not in s]
        if missing:
            raise KeyError(
                f"{missing[0]} has no full_img, which crf_guide='resized_full' needs; "
                'add KeepFullImage to the training pipeline'
            )
        full_img = torch.stack([s.full_img.data for s in data_samples]).to(img)
        # The data preprocessor reverses the channels of the inputs alone. The attribute
        # is private in the OneDL forks, and public in the original mmseg.
        names = '_channel_conversion', 'channel_conversion'
        swap = any(getattr(self.data_preprocessor, name, False) for name in names)
        return full_img.flip(1) if swap else full_img

    def encode_prob(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Fuse the probabilities of both heads; ``'max'`` may sum to more than 1."""
        feats = self.extract_feat(inputs)
        logits = []
        if self.fuse != 'student':
            logits.append(
                self.teacher_head.predict(feats, batch_img_metas, self.test_cfg)
            )
        if self.fuse != 'teacher':
            logits.append(self.decode(feats, batch_img_metas))
        return fuse_probabilities(logits, self.fuse if len(logits) > 1 else 'max')

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Compute the logarithm of the fused probabilities, mmseg's logits."""
        return log_probability(self.encode_prob(inputs, batch_img_metas))

    def logits_to_prob(self, logits: Tensor) -> Tensor:
        """Convert the logarithm of fused probabilities back."""
        return logits.float().exp()

    def pseudo_sources(self) -> Sources:
        """Return the base's sources and those of both teachers and the fused heads."""
        own = {'teacher_b': self.label_from_teacher_b, 'fused': self.label_from_fusion}
        return super().pseudo_sources() | reliable_sources() | own

    def label_from_teacher_b(self, context: InferenceContext) -> PseudoLabel:
        """Refine the output of teacher B by the CRF."""
        logits = self.upsample(self.teacher_head(context.feats), context.inputs)
        return self._refined(context, context.resize(logits.softmax(1)))

    def label_from_fusion(self, context: InferenceContext) -> PseudoLabel:
        """Refine the fused prediction by the CRF: the mask for retraining."""
        return self._refined(context, context.prob)

    def _refined(self, context: InferenceContext, prob: Tensor) -> PseudoLabel:
        tags = context.tags if self.tag_filter else None
        prob = self.refine_by_crf(prob, tags, context.img)
        return self.label_b(prob, tags), prob
