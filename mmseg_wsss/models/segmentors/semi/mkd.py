"""Mutual knowledge distillation of two students and their mean teachers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import setting

from ...losses import one_collective, valid_cross_entropy
from ...utils import (
    CutMixSettings,
    at_least_float32,
    channel_argmax,
    draw_masks,
    mix,
    resize,
    resize_labels,
    scaled_size,
    valid_maps,
)
from .parts.isda_offset import NETWORKS, ISDAOffset, ISDASettings
from .parts.pseudo_labels import num_effective_classes
from .parts.seg_output import SegOutput
from .parts.settings import SemiSettings
from .parts.tag_classifier import weak_view_loss
from .parts.tag_constraint import TagConstraint
from .semi_base import SemiBaseSegmentor


@dataclass(frozen=True)
class MKDSettings(SemiSettings):
    """Settings ``semi_train_cfg`` of :class:`MKD`.

    Args:
        sup_weight: Weight of the supervised loss of each student.
        teacher_mode: See :class:`SemiSettings`.
        teacher_weight: Weight lambda_st of L_st.
        student_weight: Weight lambda_ss of L_ss.
        pseudo_thr_teacher: Smallest confidence (without offset) of a teacher's label.
            0, as in the released config, accepts all; others report 0.95.
        pseudo_thr_student: Smallest confidence of a student's label.
        mean_over: Pixels over which L_st and L_ss are averaged: ``'confident'``, those
            with a label, as released, or ``'valid'``, all valid ones, as in the
            authors' later code. Without a threshold it makes no difference.
        loss_scale_factor: Size of the maps in L_st and L_ss, relative to the logits.
        semi_on_labeled: Whether labeled images are part of L_st, L_ss and the
            statistics of the offset.
        mask_padding: Whether to leave padding, and pixels of labeled images marked 255,
            out of these (not in the released code).
        labels_from: Logits from which labels are taken: ``'offset'``, with the offset,
            or ``'raw'``.
        isda: Settings of the offset; None switches it off.
        cutmix: Settings of CutMix; None switches it off.
        concat_forward: See :class:`SemiSettings`.
        tag_filter: See :class:`SemiSettings`.
        class_aware_ce: See :class:`SemiSettings`.
        cam_fusion: See :class:`SemiSettings`.
    """

    teacher_weight: float = setting(1.5, at_least=0)
    student_weight: float = setting(1.0, at_least=0)
    pseudo_thr_teacher: float = setting(0.0, at_least=0, at_most=1)
    pseudo_thr_student: float = setting(0.0, at_least=0, at_most=1)
    mean_over: str = setting('confident', choices=('confident', 'valid'))
    loss_scale_factor: float = setting(0.5, above=0)
    semi_on_labeled: bool = setting(True)
    mask_padding: bool = setting(True)
    labels_from: str = setting('offset', choices=('offset', 'raw'))
    isda: ISDASettings | None = setting(ISDASettings())
    cutmix: CutMixSettings | None = setting(CutMixSettings())


@MODELS.register_module()
class MKD(SemiBaseSegmentor):
    """Two students, each supervised by the other student and by the other's teacher.

    ``L = L_sup + lambda_st * L_st + lambda_ss * L_ss``. Students process strong views
    mixed by CutMix; the outputs of the teachers for the weak views are mixed by the
    same masks. The logits of all networks get the offset of
    :class:`ImplicitSemanticAugmentation`. Source: Yuan et al. (Semi-supervised Semantic
    Segmentation with Mutual Knowledge Distillation), https://arxiv.org/abs/2208.11499;
    see docs/methods/mkd.md.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`, with ``semi_train_cfg`` of
            :class:`MKDSettings`.

    Raises:
        ValueError: If the offset is on and ``conv_seg`` of the decode head is not a
            1 x 1 convolution.
    """

    students = ('student1', 'student2')
    pairs = {'teacher1': 'student1', 'teacher2': 'student2'}
    branches = ('sup', 'unsup_weak', 'unsup_strong')
    train_settings = MKDSettings
    one_crop_size = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # If isda is None, no network has an offset.
        isda = self.train_cfg.isda or ISDASettings(networks=(), end_ratio=0)
        # A teacher's offset has an effect on labels only.
        used = NETWORKS if self.train_cfg.labels_from == 'offset' else self.students
        names = [name for name in isda.networks if name in used]
        self.isda = ISDAOffset({name: self.networks[name] for name in names}, isda)

    def on_progress(self, progress: float) -> None:
        """Set the strength of the offset.

        :class:`.Phase` calls this when ``MeanTeacherHook`` sets ``progress``.
        """
        self.isda.set_progress(progress)

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute L_sup, L_st and L_ss.

        Args:
            inputs: Crops (N, 3, H, W) of each branch, all of one size.
            data_samples: Their data samples.
        """
        cfg = self.train_cfg
        sup, weak, strong = self.split_branches(inputs)
        mask = draw_masks(strong, cfg.cutmix)
        mixed = mix(strong, mask)
        losses: dict[str, Tensor] = {}  # L_sup
        raw, feats = {}, {}
        for student in self.students:
            outputs = tuple(self.forward_views(student, sup, mixed))
            losses |= self.supervised_losses(student, outputs[0], data_samples['sup'])
            raw[student], feats[student] = self.resize_to_loss(outputs)
        with torch.no_grad():
            for teacher in self.pairs:
                *labeled, unlabeled = self.forward_views(teacher, sup, weak)
                outputs = (*labeled, unlabeled.mixed(mask))
                raw[teacher], feats[teacher] = self.resize_to_loss(outputs)

        gt, valid = self.valid_pixels(weak, data_samples, mask, raw['student1'])
        tags = self.mixed_tags(weak, data_samples, mask, raw['student1'])
        logits = self.isda.update_and_add(self.networks, raw, feats, gt, valid, tags)
        pseudo = {
            name: self.hard_labels(
                name, tags.filter(raw[name]), tags.filter(logits[name]), valid
            )
            for name in self.networks
        }

        s1, s2 = (tags.for_loss(logits[student]) for student in self.students)
        counted = valid if cfg.mean_over == 'valid' else None
        ce = partial(valid_cross_entropy, counted=counted)
        loss_st = ce(s1, pseudo['teacher2']) + ce(s2, pseudo['teacher1'])
        loss_ss = ce(s1, pseudo['student2']) + ce(s2, pseudo['student1'])

        teacher_labels = torch.stack([pseudo['teacher1'], pseudo['teacher2']])
        num_confident = (teacher_labels != IGNORE_INDEX).sum((1, 2, 3))
        confident = num_confident / valid.sum().clamp(min=1)
        losses |= weak_view_loss(self, inputs, data_samples)
        return losses | {
            'loss_st': cfg.teacher_weight * loss_st,
            'loss_ss': cfg.student_weight * loss_ss,
            'ratio_confident': confident.mean(),
            'ratio_mixed': 1 - mask.mean(),
            'num_effective_classes': num_effective_classes(
                teacher_labels, self.num_classes
            ),
            'isda_ratio': self.isda.ratio,
        }

    def forward_network(self, name: str, inputs: Tensor) -> SegOutput:
        """Compute the output of a network; with ``feat`` if it has an offset."""
        if name not in self.isda:
            return super().forward_network(name, inputs)
        self.isda.inputs[name].start()
        output = super().forward_network(name, inputs)
        return output._replace(feat=self.isda.inputs[name].take())

    def forward_views(self, name: str, *views: Tensor) -> Iterator[SegOutput]:
        """Yield outputs for labeled (if needed) and unlabeled images.

        See :meth:`SemiBaseSegmentor.forward_views`.
        """
        outputs = super().forward_views(name, *views)
        if name not in self.pairs or self.train_cfg.semi_on_labeled:
            return outputs
        if self.train_cfg.concat_forward and self.networks[name].training:
            # Labeled images share the batch-norm batch; their outputs are dropped.
            return islice(outputs, 1, None)
        return super().forward_views(name, *views[1:])

    def resize_to_loss(
        self, outputs: tuple[SegOutput, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Return logits (N, C, h, w) and features (N, A, h, w) at the losses' size.

        The labeled images come first, if ``semi_on_labeled``.
        """
        if not self.train_cfg.semi_on_labeled:
            outputs = outputs[-1:]
        logits = torch.cat([output.logits for output in outputs])
        size = scaled_size(logits.shape[2:], self.train_cfg.loss_scale_factor)
        feats = [output.feat for output in outputs if output.feat is not None]
        return resize(logits, size), resize(torch.cat(feats), size) if feats else None

    def valid_pixels(
        self, weak: Tensor, data_samples: dict[str, list], mask: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the ground truth and the valid pixels at the losses' size.

        Args:
            weak: Weak views (N_u, 3, H, W).
            data_samples: Data samples of each branch.
            mask: CutMix masks (N_u, 1, H, W).
            logits: Logits (N, C, h, w) of that size.

        Returns:
            Ground truth (N_l, h, w) of the labeled images, if ``semi_on_labeled``, and
            the valid pixels (N, h, w) bool of these and the unlabeled images.
        """
        size = logits.shape[2:]
        mixed = mix(valid_maps(data_samples['unsup_weak'], weak), mask)
        gt = resize_labels(self.ground_truth(data_samples['sup']), size)
        if not self.train_cfg.semi_on_labeled:
            gt = gt[:0]
        valid = torch.cat([gt != IGNORE_INDEX, resize_labels(mixed, size)])
        return gt, valid if self.train_cfg.mask_padding else torch.ones_like(valid)

    def mixed_tags(
        self, weak: Tensor, data_samples: dict[str, list], mask: Tensor, logits: Tensor
    ) -> TagConstraint:
        """Return the classes that tags allow at each pixel of logits (N, C, h, w)."""
        size = logits.shape[2:]
        tags = TagConstraint.of(self, data_samples['unsup_weak'], weak)
        tags = tags.mixed(mask, size)
        if not self.train_cfg.semi_on_labeled:
            return tags
        return tags.after(TagConstraint.of(self, data_samples['sup']))

    @torch.no_grad()
    def hard_labels(
        self, name: str, raw: Tensor, with_offset: Tensor, valid: Tensor
    ) -> Tensor:
        """Return the hard labels (N, h, w) int64 of a network, 255 where ignored.

        Args:
            name: Name of the network.
            raw: Logits (N, C, h, w) without offset, which give the confidence.
            with_offset: Logits with the offset.
            valid: Pixels (N, h, w) bool that may have a label.
        """
        cfg = self.train_cfg
        label = channel_argmax(with_offset if cfg.labels_from == 'offset' else raw)
        teacher = name in self.pairs
        thr = cfg.pseudo_thr_teacher if teacher else cfg.pseudo_thr_student
        confident = at_least_float32(raw).softmax(1).amax(1) >= thr
        return label.masked_fill(~(valid & confident), IGNORE_INDEX)
