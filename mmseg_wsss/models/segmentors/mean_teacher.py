"""One student that learns on strong views what its teacher says of weak ones."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..losses import confident_cross_entropy
from ..utils import at_least_float32, mix, valid_maps
from .semi_base import IGNORED, SemiBaseSegmentor

Labels = tuple[Tensor, Tensor]


class WeakToStrong(SemiBaseSegmentor):
    """A student that learns on strong views what :meth:`weak_labels` finds on weak ones.

    ``L = sup_weight * L_sup + unsup_weight * L_unsup``; L_unsup is the mean over the
    strong views of :func:`confident_cross_entropy` at the size of the crop.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`SemiBaseSegmentor`; ``semi_train_cfg`` knows
            ``unsup_weight``; ``pseudo_thr``, the confidence that a label needs;
            ``cutmix``, arguments of :meth:`draw_masks` or None; ``mask_padding``,
            whether nothing is learned on padding.
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
        weak = self.branch(inputs, 'unsup_weak')
        losses = super().loss(inputs, data_samples)
        with torch.no_grad():
            label, conf = self.weak_labels(weak)
            if self.train_cfg['mask_padding']:
                valid = valid_maps(data_samples['unsup_weak'], weak)
                label = label.masked_fill(~valid, IGNORED)
        terms, shares = [], []
        for name in self.strong_views:
            strong = self.branch(inputs, name)
            mask = self.draw_masks(strong, self.train_cfg['cutmix'])
            logits = self.logits_of_crop('student', mix(strong, mask))
            term, share = confident_cross_entropy(
                logits, mix(label, mask), mix(conf, mask), self.train_cfg['pseudo_thr']
            )
            terms.append(term)
            shares.append(share)
        weight = self.train_cfg['unsup_weight'] / len(terms)
        return losses | {
            'loss_unsup': weight * sum(terms),
            'ratio_confident': sum(shares) / len(shares),
        }

    def logits_of_crop(self, name: str, inputs: Tensor) -> Tensor:
        """Logits (N, C, H, W) of a network in float32 at the size of the pictures."""
        return F.interpolate(
            at_least_float32(self.dense(name, inputs).logits),
            inputs.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
        )

    def weak_labels(self, weak: Tensor) -> Labels:
        """Labels (N, H, W) int64 of weak views, and confidences in [0, 1]."""
        raise NotImplementedError


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

    def weak_labels(self, weak: Tensor) -> Labels:
        """What the teacher says of weak views."""
        conf, label = self.logits_of_crop('teacher', weak).softmax(1).max(1)
        return label, conf
