"""UniMatch, version 1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import setting

from ...losses import one_collective
from ...utils import draw_masks, eval_mode, mix
from .fixmatch import FixMatchSettings
from .parts.pseudo_labels import PseudoLabels, confident_classes, consistency_loss
from .parts.tag_classifier import weak_view_loss
from .parts.tag_constraint import TagConstraint
from .parts.training_forward import StudentForward
from .semi_base import SemiBaseSegmentor


@dataclass(frozen=True)
class UniMatchSettings(FixMatchSettings):
    """Settings ``semi_train_cfg`` of :class:`UniMatch`.

    Args:
        sup_weight: Weight of L_sup.
        concat_forward: See :class:`SemiSettings`.
        tag_filter: See :class:`SemiSettings`.
        class_aware_ce: See :class:`SemiSettings`.
        cam_fusion: See :class:`SemiSettings`.
        unsup_weight: Weight of the mean of L_s1 and L_s2.
        pseudo_thr: Smallest confidence of a pseudo-label, in [0, 1]; 0.95 on VOC and
            COCO, 0 on Cityscapes.
        cutmix: Settings of CutMix; None switches it off.
        mask_padding: Whether padding is ignored in the losses of unlabeled images.
        fp_weight: Weight of L_fp.
        fp_dropout: Ratio of the channels that are dropped for L_fp.
    """

    unsup_weight: float = setting(0.25, at_least=0)
    fp_weight: float = setting(0.25, at_least=0)
    fp_dropout: float = setting(0.5, at_least=0, at_most=1)


@MODELS.register_module()
class UniMatch(SemiBaseSegmentor):
    """FixMatch with two strong views and a view with perturbed features.

    ``L = (L_sup + (L_s1 + L_s2) / 4 + L_fp / 2) / 2``. An image's own pixels are
    labeled by the student in train mode, the pixels of its CutMix partner by the
    student in eval mode. Source: Yang et al. (UniMatch), section 3,
    https://arxiv.org/abs/2208.09910.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`, with ``semi_train_cfg`` of
            :class:`UniMatchSettings`.
    """

    branches = ('sup', 'unsup_weak', 'unsup_strong_0', 'unsup_strong_1')
    train_settings = UniMatchSettings

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute L_sup, L_fp, and the mean of L_s1 and L_s2.

        Args:
            inputs: Crops (N, 3, H, W) of each branch.
            data_samples: Their data samples.
        """
        cfg, student = self.train_cfg, self.networks['student']
        sup, weak, *strong = self.split_branches(inputs)
        forward = StudentForward(self, 'student', sup, data_samples['sup'])

        def perturb(feats: Sequence[Tensor]) -> Iterator[Sequence[Tensor]]:
            yield feats
            yield [F.dropout2d(feat, cfg.fp_dropout) for feat in feats]

        outputs = forward.perturbed(weak, perturb)
        plain = next(outputs)
        tags = TagConstraint.of(self, data_samples['unsup_weak'], weak)
        logits = self.resize_to(weak, plain.logits)
        pseudo = PseudoLabels.of_logits(tags.filter(logits))
        with torch.no_grad(), eval_mode(student):
            logits = self.forward_logits('student', weak)
            partner = PseudoLabels.of_logits(tags.filter(logits))
        if cfg.mask_padding:
            pseudo = pseudo.ignore_padding(data_samples['unsup_weak'])
            partner = partner.ignore_padding(data_samples['unsup_weak'])

        perturbed = tags.for_loss(self.resize_to(weak, next(outputs).logits))
        loss_fp, _ = consistency_loss([perturbed], [pseudo], cfg.pseudo_thr)

        masks = [draw_masks(view, cfg.cutmix) for view in strong]
        views = [mix(view, mask) for view, mask in zip(strong, masks)]
        strong_logits = [
            tags.for_loss(self.resize_to(weak, output.logits), mask)
            for mask, output in zip(masks, forward.forward(*views))
        ]
        mixed = [pseudo.mixed(mask, partner) for mask in masks]
        loss, ratio = consistency_loss(strong_logits, mixed, cfg.pseudo_thr)
        losses = forward.losses | weak_view_loss(self, inputs, data_samples)
        return losses | {
            'loss_fp': cfg.fp_weight * loss_fp,
            'loss_unsup': cfg.unsup_weight * loss,
            'ratio_confident': ratio,
            'num_effective_classes': confident_classes(
                pseudo, cfg.pseudo_thr, self.num_classes
            ),
        }
