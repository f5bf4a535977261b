"""Cross pseudo supervision of two students."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import setting

from ...losses import one_collective, valid_cross_entropy
from ...utils import CutMixSettings, channel_argmax, draw_masks, eval_mode, mix
from .parts.pseudo_labels import ignore_padding, num_effective_classes
from .parts.settings import SemiSettings
from .parts.tag_classifier import weak_view_loss
from .parts.tag_constraint import TagConstraint
from .semi_base import SemiBaseSegmentor


@dataclass(frozen=True)
class CPSSettings(SemiSettings):
    """Settings ``semi_train_cfg`` of :class:`CPS`.

    Args:
        sup_weight: Weight of the supervised loss of each student.
        concat_forward: See :class:`SemiSettings`.
        tag_filter: See :class:`SemiSettings`.
        class_aware_ce: See :class:`SemiSettings`.
        cam_fusion: See :class:`SemiSettings`.
        cps_weight: Weight of L_cps: on VOC 1 with CutMix and 1.5 without, on
            Cityscapes 5 and 6.
        cutmix: Settings of CutMix; None switches it off.
        mask_padding: Whether padding, and labeled pixels without ground truth, are
            ignored in L_cps.
    """

    cps_weight: float = setting(1.0, at_least=0)
    cutmix: CutMixSettings | None = setting(CutMixSettings())
    mask_padding: bool = setting(True)


@MODELS.register_module()
class CPS(SemiBaseSegmentor):
    """Two students, each supervised by the hard labels of the other one.

    ``L = L_sup + cps_weight * L_cps``, ``L_cps = CE(S1, label of S2) + CE(S2, label of
    S1)``, without a confidence threshold. With CutMix, labels are predicted on the
    unmixed images in eval mode, and then mixed; without it, L_cps includes the labeled
    images. There are no color augmentations. Source: Chen et al. (CPS), section 3,
    https://arxiv.org/abs/2106.01226.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`, with ``semi_train_cfg`` of
            :class:`CPSSettings`.
    """

    students = ('student1', 'student2')
    branches = ('sup', 'unsup_weak')
    train_settings = CPSSettings

    @property
    def one_crop_size(self) -> bool:
        """Whether the crops of all branches need one size."""
        return super().one_crop_size or self.train_cfg.cutmix is None

    @one_collective
    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Compute L_sup of both students, and L_cps.

        Args:
            inputs: Crops (N, 3, H, W) of each branch.
            data_samples: Their data samples.
        """
        cfg = self.train_cfg
        sup, weak = self.split_branches(inputs)
        mask = draw_masks(weak, cfg.cutmix)
        tags = TagConstraint.of(self, data_samples['unsup_weak'], weak)
        tags_sup = TagConstraint.of(self, data_samples['sup'])
        losses: dict[str, Tensor] = {}
        logits, pseudo = {}, {}
        for student in self.students:
            outputs = self.forward_views(student, sup, mix(weak, mask))
            labeled = next(outputs)
            losses |= self.supervised_losses(student, labeled, data_samples['sup'])
            logits[student] = self.resize_to(weak, next(outputs).logits)
            own = logits[student]
            if cfg.cutmix is not None:
                with torch.no_grad(), eval_mode(self.networks[student]):
                    own = self.forward_logits(student, weak)
            label = channel_argmax(tags.filter(own))
            if cfg.mask_padding:
                label = ignore_padding(label, data_samples['unsup_weak'])
            pseudo[student] = mix(label, mask)
            if cfg.cutmix is None:  # labeled images, too
                of_sup = self.resize_to(sup, labeled.logits)
                label = self.labels_of_labeled(
                    tags_sup.filter(of_sup), data_samples['sup']
                )
                logits[student] = torch.cat([of_sup, logits[student]])
                pseudo[student] = torch.cat([label, pseudo[student]])

        tags_loss = tags if cfg.cutmix else tags.after(tags_sup)
        mixed = mask if cfg.cutmix else None
        s1, s2 = (tags_loss.for_loss(logits[name], mixed) for name in self.students)
        loss_cps = valid_cross_entropy(s1, pseudo['student2']) + valid_cross_entropy(
            s2, pseudo['student1']
        )
        losses |= weak_view_loss(self, inputs, data_samples)
        return losses | {
            'loss_cps': cfg.cps_weight * loss_cps,
            'num_effective_classes': num_effective_classes(
                torch.cat([*pseudo.values()]), self.num_classes
            ),
        }

    def labels_of_labeled(self, logits: Tensor, data_samples: list) -> Tensor:
        """Return the hard labels (N, H, W) that a student predicts on labeled images.

        Pixels with ground truth 255 are set to 255, unless ``mask_padding`` is off.
        """
        label = channel_argmax(logits)
        if not self.train_cfg.mask_padding:
            return label
        gt = self.ground_truth(data_samples)
        return label.masked_fill(gt == IGNORE_INDEX, IGNORE_INDEX)
