"""FixMatch for segmentation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import setting

from ...losses import one_collective
from ...utils import CutMixSettings, draw_masks, eval_mode, mix
from .parts.pseudo_labels import PseudoLabels, confident_classes, consistency_loss
from .parts.settings import SemiSettings
from .parts.tag_classifier import weak_view_loss
from .parts.tag_constraint import TagConstraint
from .parts.training_forward import StudentForward
from .semi_base import SemiBaseSegmentor

UNIMATCH_CUTMIX = CutMixSettings(
    num_boxes=1, prop_range=(0.02, 0.4), prob=0.5, box_of='partner'
)


@dataclass(frozen=True)
class FixMatchSettings(SemiSettings):
    """Settings ``semi_train_cfg`` of :class:`FixMatch`.

    Args:
        sup_weight: Weight of L_sup.
        concat_forward: See :class:`SemiSettings`.
        tag_filter: See :class:`SemiSettings`.
        class_aware_ce: See :class:`SemiSettings`.
        cam_fusion: See :class:`SemiSettings`.
        unsup_weight: Weight of L_unsup.
        pseudo_thr: Smallest confidence of a pseudo-label, in [0, 1]; 0.95 on VOC and
            COCO, 0 on Cityscapes in UniMatch.
        cutmix: Settings of CutMix; None switches it off.
        mask_padding: Whether padding is ignored in L_unsup.
    """

    sup_weight: float = setting(0.5, at_least=0)
    unsup_weight: float = setting(0.5, at_least=0)
    pseudo_thr: float = setting(0.95, at_least=0, at_most=1)
    cutmix: CutMixSettings | None = setting(UNIMATCH_CUTMIX)
    mask_padding: bool = setting(True)


@MODELS.register_module()
class FixMatch(SemiBaseSegmentor):
    """A student supervised by its own confident labels of the weak views.

    ``L = (L_sup + L_unsup) / 2``, where L_unsup is the cross entropy of strong views
    against the hard labels that the student in eval mode predicts on the weak views.
    Sources: Sohn et al. (FixMatch), https://arxiv.org/abs/2001.07685; for segmentation
    Yang et al. (UniMatch), section 3, https://arxiv.org/abs/2208.09910.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`, with ``semi_train_cfg`` of
            :class:`FixMatchSettings`.
    """

    branches = ('sup', 'unsup_weak', 'unsup_strong')
    train_settings = FixMatchSettings

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute L_sup and L_unsup.

        Args:
            inputs: Crops (N, 3, H, W) of each branch.
            data_samples: Their data samples.
        """
        cfg = self.train_cfg
        sup, weak, strong = self.split_branches(inputs)
        student = StudentForward(self, 'student', sup, data_samples['sup'])

        tags = TagConstraint.of(self, data_samples['unsup_weak'], weak)
        with torch.no_grad(), eval_mode(self.networks['student']):
            logits = self.forward_logits('student', weak)
            pseudo = PseudoLabels.of_logits(tags.filter(logits))
        if cfg.mask_padding:
            pseudo = pseudo.ignore_padding(data_samples['unsup_weak'])

        mask = draw_masks(strong, cfg.cutmix)
        (output,) = student.forward(mix(strong, mask))
        logits = tags.for_loss(self.resize_to(weak, output.logits), mask)
        loss, ratio = consistency_loss([logits], [pseudo.mixed(mask)], cfg.pseudo_thr)
        losses = student.losses | weak_view_loss(self, inputs, data_samples)
        return losses | {
            'loss_unsup': cfg.unsup_weight * loss,
            'ratio_confident': ratio,
            'num_effective_classes': confident_classes(
                pseudo, cfg.pseudo_thr, self.num_classes
            ),
        }
