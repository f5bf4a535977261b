"""One student that learns on strong views what a teacher says of weak ones."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import confident_cross_entropy
from ...utils import eval_mode, mix
from .seg_output import IGNORED, effective_classes
from .semi_base import SemiBaseSegmentor

Labels = tuple[Tensor, Tensor]


class WeakToStrong(SemiBaseSegmentor):
    """A student that learns on strong views the labels of weak ones.

    ``L = sup_weight * L_sup + unsup_weight * L_unsup``; L_unsup is the mean over the
    strong views of :func:`confident_cross_entropy` at the size of the crop.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`; ``semi_train_cfg`` knows
            ``unsup_weight``; ``pseudo_thr``, the confidence that a label needs;
            ``cutmix``, see :meth:`draw_masks`; ``mask_padding``, whether nothing is
            learned on padding.
    """

    strong_views: ClassVar[tuple[str, ...]] = ('unsup_strong',)
    defaults: ClassVar[Mapping[str, Any]] = {
        **SemiBaseSegmentor.defaults,
        'unsup_weight': 1.0,
        'pseudo_thr': 0.0,
        'cutmix': None,
        'mask_padding': True,
    }

    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Losses of the student.

        Args:
            inputs: Crops (N, 3, H, W) of the branches ``sup``, ``unsup_weak`` and
                ``strong_views``.
            data_samples: Their data samples.
        """
        losses = super().loss(inputs, data_samples)
        label, conf = self.weak_labels(self.branch(inputs, 'unsup_weak'))
        label = self.without_padding(label, data_samples['unsup_weak'])
        return losses | self.strong_losses(inputs, (label, conf), (label, conf))

    @torch.no_grad()
    def weak_labels(self, weak: Tensor) -> Labels:
        """Labels (N, H, W) int64 of weak views, and their confidences in [0, 1].

        They are the teacher's, or the student's as in inference where there is none.
        """
        (name,) = self.pairs or self.students
        if name in self.pairs:
            return self.labels_of(self.dense(name, weak).logits, weak)
        with eval_mode(self.networks[name]):
            return self.labels_of(self.dense(name, weak).logits, weak)

    @torch.no_grad()
    def labels_of(self, logits: Tensor, inputs: Tensor) -> Labels:
        """Labels and confidences (N, H, W) of logits, at the size of the images."""
        conf, label = self.at_crop_size(logits, inputs).softmax(1).max(1)
        return label, conf

    def strong_losses(
        self, inputs: dict[str, Tensor], own: Labels, partner: Labels
    ) -> dict[str, Tensor]:
        """L_unsup, the mean over the strong views.

        Args:
            inputs: Crops of each branch.
            own: Labels and confidences that an image takes with its own pixels.
            partner: Those that it gives to the image which it is mixed into.
        """
        strong = [self.branch(inputs, name) for name in self.strong_views]
        masks = [self.draw_masks(view, self.train_cfg['cutmix']) for view in strong]
        mixed = [mix(view, mask) for view, mask in zip(strong, masks)]
        terms, shares = [], []
        for logits, mask in zip(self.strong_logits(mixed), masks):
            label, conf = (
                torch.where(mask[:, 0] > 0.5, first, mix(second, mask))
                for first, second in zip(own, partner)
            )
            term, share = confident_cross_entropy(
                self.at_crop_size(logits, strong[0]),
                label,
                conf,
                self.train_cfg['pseudo_thr'],
            )
            terms.append(term)
            shares.append(share)
        label, conf = own
        confident = label.masked_fill(conf < self.train_cfg['pseudo_thr'], IGNORED)
        return {
            'loss_unsup': self.train_cfg['unsup_weight'] * sum(terms) / len(terms),
            'ratio_confident': sum(shares) / len(shares),
            'classes': effective_classes(confident, self.num_classes),
        }

    def strong_logits(self, views: list[Tensor]) -> list[Tensor]:
        """Student's logits of the mixed strong views."""
        return [self.dense('student', view).logits for view in views]


@MODELS.register_module()
class MeanTeacherSegmentor(WeakToStrong):
    """A student taught by its mean teacher (mkd.md, section 14).

    By default without threshold and without CutMix; ``MeanTeacherHook`` moves the
    teacher, with a decay of 0.99 (U2PL) to 0.996 (UniMatch V2).

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`WeakToStrong`.
    """

    pairs: ClassVar[Mapping[str, str]] = {'teacher': 'student'}
