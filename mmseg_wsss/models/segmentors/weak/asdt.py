"""ASDT: alternate self-dual teaching (Zhang et al., TIP 2024; asdt.md)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import soft_cross_entropy, valid_cross_entropy
from ...pseudo_labels import present_classes, tag_filter
from .inference_context import InferenceContext
from .rrm import RRM
from .wsss_base import PseudoLabel

FUSIONS = ('max', 'mean', 'student', 'teacher')


@MODELS.register_module()
class ASDT(RRM):
    """Two teachers and a student on one backbone, without EMA or frozen copies.

    Teacher A is the classifier: its refined CAMs give a sparse label ``L_A``. Teacher B
    (``teacher_head``) is trained on ``L_A``, and its CRF-refined output is a dense
    label ``L_B``. The student (``decode_head``) learns from A, and from B while the
    pulse-width modulated signal ``pwm_high`` is high (``PWMDistillationHook``)::

        L = L_cls + beta [L_ce(S1, L_A) + L_den(S1; L_A)] + (1 - beta) L_stu
        low:  L_stu = L_ce(S2, L_A) + L_den(S2; L_A)
        high: L_stu = w_pgt CE(S2, L_B) + L_den(S2; L_A)

    Args:
        teacher_head: Config of teacher B's decode head.
        crf_b: Config of the CRF of the dense label.
        branch_weights: Weights of teacher B's and of the student's losses,
            (beta, 1 - beta) in the formula.
        distill_weight: ``w_pgt``.
        distill_mode: ``'hard'`` trains on the argmax of the refined output, ``'soft'``
            on the refined probabilities.
        distill_keep_dense: Whether the dense energy stays on in high phases.
        tag_filter: Whether ``L_B`` and exported masks are limited to tagged classes.
        crf_guide: ``'crop'``, or ``'resized_full'`` for the guide of the released code:
            the whole original image, resized to the crop and so not aligned with it.
        test_cfg: ``fuse`` is how both heads are joined: ``'max'`` of their
            probabilities, not renormalized (as released), ``'mean'``, ``'student'`` or
            ``'teacher'``.
        **kwargs: Arguments of :class:`RRM`.
    """

    def __init__(
        self,
        *args: Any,
        teacher_head: dict,
        crf_b: dict | None = None,
        branch_weights: tuple[float, float] = (0.5, 0.5),
        distill_weight: float = 0.1,
        distill_mode: str = 'hard',
        distill_keep_dense: bool = True,
        tag_filter: bool = False,
        crf_guide: str = 'crop',
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        _check('distill_mode', distill_mode, ('hard', 'soft'))
        _check('crf_guide', crf_guide, ('crop', 'resized_full'))
        self.fuse = (self.test_cfg or {}).get('fuse', 'max')
        _check('test_cfg.fuse', self.fuse, FUSIONS)
        self.teacher_head = MODELS.build(teacher_head)
        self.crf_b = MODELS.build(crf_b or CRF_B)
        self.branch_weights = tuple(branch_weights)
        self.distill_weight = distill_weight
        self.distill_mode = distill_mode
        self.distill_keep_dense = distill_keep_dense
        self.tag_filter = tag_filter
        self.crf_guide = crf_guide
        self.pwm_high = False  # set by PWMDistillationHook

    def segmentation_losses(
        self,
        inputs: Tensor,
        feats: Sequence[Tensor],
        tags: Tensor,
        data_samples: list,
    ) -> dict[str, Tensor]:
        """Losses of teacher B and of the student."""
        teacher = self.upsample(self.teacher_head(feats), inputs)
        coarse = self.decode_head(feats)
        student = self.upsample(coarse, inputs)
        img, valid = self.denormalize(inputs), self.valid(data_samples, inputs)
        label_a = self.sparse_label(inputs, feats, tags, img, valid)
        dense_b, dense_s = self.dense_losses([teacher, student], img, valid, label_a)

        label = label_a
        if self.pwm_high:
            guide = self.dense_label_guide(img, data_samples)
            prob_b = teacher.detach().softmax(1).nan_to_num(0.0)  # a loss will tell
            prob_b = self.dense_label(prob_b, tags, guide)
            label = self.label_of(prob_b, tags).masked_fill(~valid, 255)
            if self.distill_mode == 'soft':
                ce_student = soft_cross_entropy(student, prob_b, label != 255)
            else:
                ce_student = valid_cross_entropy(student, label)
            ce_student = self.distill_weight * ce_student
            dense_s = dense_s * float(self.distill_keep_dense)
        else:
            ce_student = self.loss_seg(student, label)

        weight_b, weight_s = self.branch_weights
        losses = {
            'loss_teacher_ce': weight_b * self.loss_seg(teacher, label_a),
            'loss_teacher_dense': weight_b * dense_b,
            'loss_student_ce': weight_s * ce_student,
            'loss_student_dense': weight_s * dense_s,
            'pwm': inputs.new_tensor(float(self.pwm_high)),
        }
        losses |= self.mmseg_head_losses(feats, coarse, label)
        return losses | self.label_shares(label_a, valid)

    @torch.no_grad()
    @torch.compiler.disable
    def dense_label(self, prob: Tensor, tags: Tensor | None, img: Tensor) -> Tensor:
        """CRF marginals (N, C, H, W) of teacher B's probabilities, no gradient.

        Without ``tag_filter`` the tags are not looked at and may be None.
        """
        present = None
        if self.tag_filter and tags is not None:
            present = present_classes(tags, self.has_background)
            prob = tag_filter(prob, tags)
        return self.crf_b(img, prob, class_mask=present)

    def label_of(self, prob: Tensor, tags: Tensor | None) -> Tensor:
        """Label (N, H, W) of the CRF marginals of :meth:`dense_label`."""
        if self.tag_filter and tags is not None:
            return self.hard_label(prob, tags)
        return prob.argmax(1)

    def dense_label_guide(self, img: Tensor, data_samples: list) -> Tensor:
        """Image that guides the CRF of the dense label."""
        if self.crf_guide == 'crop':
            return img
        missing = [s.img_path for s in data_samples if 'full_img' not in s]
        if missing:
            raise KeyError(
                f"{missing[0]} has no full_img, which crf_guide='resized_full' needs; "
                'add KeepFullImage to the training pipeline'
            )
        return torch.stack([s.full_img.data for s in data_samples]).to(img)

    def encode_probs(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Joined probabilities of both heads; their sum may exceed 1 for ``'max'``."""
        feats = self.extract_feat(inputs)
        logits = []
        if self.fuse != 'student':
            logits.append(
                self.teacher_head.predict(feats, batch_img_metas, self.test_cfg)
            )
        if self.fuse != 'teacher':
            logits.append(self.decode(feats, batch_img_metas))
        probs = torch.stack([logit.float().softmax(1) for logit in logits])
        return probs.mean(0) if self.fuse == 'mean' else probs.amax(0)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logarithm of the joined probabilities, which mmseg treats as logits."""
        tiny = torch.finfo(torch.float32).tiny
        return self.encode_probs(inputs, batch_img_metas).clamp(min=tiny).log()

    def probs_of(self, logits: Tensor) -> Tensor:
        """Joined probabilities of their logarithm."""
        return logits.float().exp()

    def pseudo_sources(self) -> dict[str, Callable[[InferenceContext], PseudoLabel]]:
        """Teacher A's sources, teacher B's dense label and the joined mask."""
        return super().pseudo_sources() | {
            'teacher_b': self.label_from_teacher_b,
            'fused': self.label_from_fusion,
        }

    def label_from_teacher_b(self, context: InferenceContext) -> PseudoLabel:
        """CRF-refined output of teacher B."""
        logits = self.upsample(self.teacher_head(context.feats), context.inputs)
        return self._refined(context, context.resize(logits.softmax(1)))

    def label_from_fusion(self, context: InferenceContext) -> PseudoLabel:
        """CRF-refined joined output: the pseudo-mask for retraining."""
        return self._refined(context, context.prob)

    def _refined(self, context: InferenceContext, prob: Tensor) -> PseudoLabel:
        tags = context.tags if self.tag_filter else None
        prob = self.dense_label(prob, tags, context.img)
        return self.label_of(prob, tags), prob


CRF_B = {
    'type': 'DenseCRF',
    'bilateral_sxy': 83.0,
    'bilateral_srgb': 5.0,
    'bilateral_compat': 4.0,
}


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f'{name} must be one of {allowed}, got {value!r}')
