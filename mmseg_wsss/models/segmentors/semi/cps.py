"""Cross pseudo supervision of two students."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import valid_cross_entropy
from ...utils import eval_mode, mix
from .seg_output import IGNORED, effective_classes
from .semi_base import SemiBaseSegmentor


@MODELS.register_module()
class CPS(SemiBaseSegmentor):
    """Two students, each taught by the labels of the other one (mkd.md, section 14).

    ``L = L_sup1 + L_sup2 + cps_weight * (CE(S1, label of S2) + CE(S2, label of S1))``,
    no label being discarded. With CutMix the labels are those of the unmixed images,
    as in inference, and the students learn on mixed ones; without it every image,
    labeled ones too, serves as it is. Only the branches ``sup`` and ``unsup_weak`` are
    used: CPS has no color operations of its own.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`; ``semi_train_cfg`` knows
            ``cps_weight`` (VOC: 1 with CutMix, 1.5 without; Cityscapes: 5 and 6);
            ``cutmix``, see :meth:`draw_masks`; ``mask_padding``, whether nothing is
            learned on padding and on labeled pixels without ground truth.
    """

    students = ('student1', 'student2')
    defaults: ClassVar[Mapping[str, Any]] = {
        **SemiBaseSegmentor.defaults,
        'cps_weight': 1.0,
        'cutmix': {'num_boxes': 3, 'prop_range': (0.25, 0.5)},
        'mask_padding': True,
    }

    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Losses of both students.

        Args:
            inputs: Crops (N, 3, H, W) of the branches ``sup`` and ``unsup_weak``.
            data_samples: Their data samples.
        """
        sup, weak = self.branch(inputs, 'sup'), self.branch(inputs, 'unsup_weak')
        cutmix = self.train_cfg['cutmix']
        mask = self.draw_masks(weak, cutmix)
        mixed = mix(weak, mask)
        losses: dict[str, Tensor] = {}
        logits, labels = [], []
        for student in self.students:
            labeled = self.dense(student, sup)
            losses |= self.supervised_losses(student, labeled, data_samples['sup'])
            found = self.at_crop_size(self.dense(student, mixed).logits, weak)
            if cutmix is None:
                label = found.argmax(1)
            else:
                with torch.no_grad(), eval_mode(self.networks[student]):
                    plain = self.dense(student, weak).logits
                label = self.at_crop_size(plain, weak).argmax(1)
            label = mix(self.without_padding(label, data_samples['unsup_weak']), mask)
            if cutmix is None:
                also = self.at_crop_size(labeled.logits, sup)
                found, label = (
                    torch.cat([also, found]),
                    torch.cat([self.labeled_pixels(also, data_samples['sup']), label]),
                )
            logits.append(found)
            labels.append(label)
        crossed = sum(map(valid_cross_entropy, logits, reversed(labels)))
        return losses | {
            'loss_cps': self.train_cfg['cps_weight'] * crossed,
            'classes': effective_classes(torch.cat(labels), self.num_classes),
        }

    def labeled_pixels(self, logits: Tensor, data_samples: list) -> Tensor:
        """Label (N, H, W) of logits of labeled images, where they have a truth."""
        label = logits.argmax(1)
        if not self.train_cfg['mask_padding']:
            return label
        truth = self.ground_truth(data_samples)
        return label.where(truth != IGNORED, IGNORED)
