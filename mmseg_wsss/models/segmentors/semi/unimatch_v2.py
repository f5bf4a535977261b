"""UniMatch, version 2."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import setting

from ...losses import one_collective
from ...utils import draw_masks, mix
from .fixmatch import FixMatchSettings
from .parts.pseudo_labels import PseudoLabels, confident_classes, consistency_loss
from .parts.tag_classifier import weak_view_loss
from .parts.tag_constraint import TagConstraint
from .parts.training_forward import StudentForward, teacher_logits
from .semi_base import SemiBaseSegmentor


@dataclass(frozen=True)
class UniMatchV2Settings(FixMatchSettings):
    """Settings ``semi_train_cfg`` of :class:`UniMatchV2`.

    Args:
        sup_weight: Weight of L_sup.
        teacher_mode: See :class:`SemiSettings`.
        concat_forward: See :class:`SemiSettings`.
        tag_filter: See :class:`SemiSettings`.
        class_aware_ce: See :class:`SemiSettings`.
        cam_fusion: See :class:`SemiSettings`.
        unsup_weight: Weight of the mean of L_s1 and L_s2.
        pseudo_thr: Smallest confidence of a pseudo-label, in [0, 1].
        cutmix: Settings of CutMix; None switches it off.
        mask_padding: Whether padding is ignored in the losses of unlabeled images.
        drop_prob: Probability that an image has complementary channels in its views.
    """

    drop_prob: float = setting(0.5, at_least=0, at_most=1)


@MODELS.register_module()
class UniMatchV2(SemiBaseSegmentor):
    """Mean teacher, and two strong views with complementary channels.

    ``L = (L_sup + (L_s1 + L_s2) / 2) / 2``. With a probability of one half per image,
    each channel of the feature maps is kept, doubled, in one view and dropped in the
    other. Source: Yang et al. (UniMatch V2), section 3,
    https://arxiv.org/abs/2410.10777.
    ``MeanTeacherHook`` updates the teacher, with a decay of 0.996.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`, with ``semi_train_cfg`` of
            :class:`UniMatchV2Settings`.
    """

    pairs = {'teacher': 'student'}
    branches = ('sup', 'unsup_weak', 'unsup_strong_0', 'unsup_strong_1')
    train_settings = UniMatchV2Settings

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute L_sup, and the mean of L_s1 and L_s2.

        Args:
            inputs: Crops (N, 3, H, W) of each branch.
            data_samples: Their data samples.
        """
        cfg = self.train_cfg
        sup, weak, *strong = self.split_branches(inputs)
        student = StudentForward(self, 'student', sup, data_samples['sup'])

        tags = TagConstraint.of(self, data_samples['unsup_weak'], weak)
        with torch.no_grad():
            teacher = teacher_logits(self, 'teacher', sup, weak)
            pseudo = PseudoLabels.of_logits(tags.filter(teacher))
        if cfg.mask_padding:
            pseudo = pseudo.ignore_padding(data_samples['unsup_weak'])

        masks = [draw_masks(view, cfg.cutmix) for view in strong]
        views = torch.cat([mix(view, mask) for view, mask in zip(strong, masks)])
        outputs = student.perturbed(
            views, lambda feats: complementary_dropout(feats, cfg.drop_prob)
        )
        logits = [
            tags.for_loss(self.resize_to(weak, output.logits), mask)
            for mask, output in zip(masks, outputs)
        ]
        mixed = [pseudo.mixed(mask) for mask in masks]
        loss, ratio = consistency_loss(logits, mixed, cfg.pseudo_thr)
        losses = student.losses | weak_view_loss(self, inputs, data_samples)
        return losses | {
            'loss_unsup': cfg.unsup_weight * loss,
            'ratio_confident': ratio,
            'num_effective_classes': confident_classes(
                pseudo, cfg.pseudo_thr, self.num_classes
            ),
        }


def complementary_dropout(
    feats: Sequence[Tensor], drop_prob: float
) -> tuple[list[Tensor], list[Tensor]]:
    """Drop complementary channels of two views, drawn for each level.

    Args:
        feats: Feature maps (2 N, D, h, w) of each level, the first view first.
        drop_prob: Probability that channels of an image are dropped.

    Returns:
        Feature maps (N, D, h, w) of each level, for each view. If channels of an image
        are dropped, the others are doubled.
    """
    num, device = len(feats[0]) // 2, feats[0].device
    whole = torch.rand(num, 1, 1, 1, device=device) >= drop_prob
    first, second = [], []
    for feat in feats:
        one, two = feat.chunk(2)
        kept = torch.rand((num, feat.shape[1], 1, 1), device=device) < 0.5
        scale = torch.where(whole, 1.0, 2.0 * kept).to(feat.dtype)
        first.append(one * scale)
        second.append(two * (2 - scale))
    return first, second
