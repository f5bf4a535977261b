"""FixMatch and both versions of UniMatch, for segmentation."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...losses import confident_cross_entropy
from .mean_teacher import WeakToStrong
from .semi_base import SemiBaseSegmentor

CUTMIX = {'num_boxes': 1, 'prop_range': (0.02, 0.4), 'prob': 0.5, 'box_of': 'partner'}


@MODELS.register_module()
class FixMatch(WeakToStrong):
    """A student taught by itself: what it is sure of on weak views (mkd.md, 14).

    ``L = (L_x + L_s) / 2``, of labels with a confidence of at least 0.95 (0 on
    Cityscapes).

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`WeakToStrong`.
    """

    defaults: ClassVar[Mapping[str, Any]] = {
        **WeakToStrong.defaults,
        'sup_weight': 0.5,
        'unsup_weight': 0.5,
        'pseudo_thr': 0.95,
        'cutmix': CUTMIX,
    }


@MODELS.register_module()
class UniMatch(FixMatch):
    """FixMatch with two strong views and one of perturbed features (V1; mkd.md, 14).

    ``L = (L_x + (L_s1 + L_s2) / 4 + L_fp / 2) / 2``. The label of an image's own
    pixels is that of the student as it trains, the label of pixels from its partner
    that of the student as in inference.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`WeakToStrong`; ``semi_train_cfg`` knows
            ``fp_weight`` and ``fp_dropout``, weight and rate of the channels that are
            dropped from all maps that the decode head gets.
    """

    strong_views = ('unsup_strong_0', 'unsup_strong_1')
    defaults: ClassVar[Mapping[str, Any]] = {
        **FixMatch.defaults,
        'unsup_weight': 0.25,
        'fp_weight': 0.25,
        'fp_dropout': 0.5,
    }

    def loss(
        self, inputs: dict[str, Tensor], data_samples: dict[str, list]
    ) -> dict[str, Tensor]:
        """Losses of the student; branches as in :class:`WeakToStrong`."""
        cfg = self.train_cfg
        losses = SemiBaseSegmentor.loss(self, inputs, data_samples)
        weak = self.branch(inputs, 'unsup_weak')
        plain = self.dense('student', weak)
        labels = [self.labels_of(plain.logits, weak), self.weak_labels(weak)]
        own, partner = (
            (self.without_padding(label, data_samples['unsup_weak']), conf)
            for label, conf in labels
        )
        feats = [F.dropout2d(feat, cfg['fp_dropout']) for feat in plain.feats]
        perturbed = self.at_crop_size(self.decode('student', feats).logits, weak)
        term, _ = confident_cross_entropy(perturbed, *own, cfg['pseudo_thr'])
        losses['loss_fp'] = cfg['fp_weight'] * term
        return losses | self.strong_losses(inputs, own, partner)


@MODELS.register_module()
class UniMatchV2(WeakToStrong):
    """Mean teacher, and two strong views with complementary features (mkd.md, 14).

    ``L = (L_x + (L_s1 + L_s2) / 2) / 2``. Of half of the images, each channel of the
    maps that the decode head gets is kept, doubled, in one of both views only.
    ``MeanTeacherHook`` has a decay of 0.996.

    Args:
        *args: Arguments of :class:`SemiBaseSegmentor`.
        **kwargs: Arguments of :class:`WeakToStrong`; ``semi_train_cfg`` knows
            ``drop_prob``, the share of images of which channels are dropped.
    """

    pairs: ClassVar[Mapping[str, str]] = {'teacher': 'student'}
    strong_views = ('unsup_strong_0', 'unsup_strong_1')
    defaults: ClassVar[Mapping[str, Any]] = {**FixMatch.defaults, 'drop_prob': 0.5}

    def strong_logits(self, views: list[Tensor]) -> list[Tensor]:
        """Student's logits of both views, of complementary channels."""
        feats = self.networks['student'].extract_feat(torch.cat(views))
        whole = torch.rand(len(views[0]), 1, 1, 1, device=views[0].device)
        whole = whole >= self.train_cfg['drop_prob']
        halves = [feat.chunk(2) for feat in feats]
        pairs = [self.complementary(one, two, whole) for one, two in halves]
        return [self.decode('student', maps).logits for maps in zip(*pairs)]

    def complementary(
        self, first: Tensor, second: Tensor, whole: Tensor
    ) -> Sequence[Tensor]:
        """Maps of both views, each channel in one of them only.

        Args:
            first: Maps (N, D, h, w) of one view.
            second: Those of the other one.
            whole: Images (N, 1, 1, 1) bool that keep all channels in both.
        """
        shape = (len(first), first.shape[1], 1, 1)
        twice = 2.0 * (torch.rand(shape, device=first.device) < 0.5)
        keep = torch.where(whole, 1.0, twice).to(first.dtype)
        return first * keep, second * (2 - keep)
