"""IRNet: seeds spread up to the boundaries of classes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...losses import one_collective
from ...pseudo_labels import cam_to_label, present_classes
from ...utils import (
    Phase,
    boundary_affinity,
    channel_argmax,
    resize,
    resize_labels,
    valid_maps,
    zero_loss,
)
from .base_classifier import WeakClassifier
from .parts.confident_regions import ConfidentRegions, seed_of
from .parts.inference_context import InferenceContext
from .parts.pseudo_label_export import PseudoLabel, Sources
from .parts.samples import check_background, label_ratios, stack_tags


@MODELS.register_module()
class IRNet(WeakClassifier):
    """Boundaries and displacements, trained on the confident regions of seeds (IRN).

    ``L = L_cls + L_aff + L_dp``: the affinity of two pixels is 1 - the strongest
    boundary between them; labels (including masks, in both losses) and seeds are as in
    :class:`.AffinityNet`. The displacements only shape the features. For semantic
    masks, the seeds are weakened on boundaries and spread by a random walk along the
    affinities; a pixel belongs to the strongest class if its map, divided by the
    maximum over the image, is above ``bg_thr``. Source: Ahn, Cho and Kwak, "Weakly
    Supervised Learning of Instance Segmentation with Inter-pixel Relations",
    https://arxiv.org/abs/1904.05044; the instance masks are not implemented.

    Args:
        affinity_head: Config of the head that computes boundaries and displacements
            from features.
        loss_affinity: Config of the loss, called with (affinity, label, radius).
        loss_displacement: Config of the loss, called with (field, label, radius).
        walk: Config of the random walk; :class:`.RandomWalk` with power 10 by default.
            Its radius is also the radius of the losses.
        crf: Config of the CRF that refines labels and the result.
        alphas: Exponents la and ha of the background score, see
            :func:`.affinity_labels`.
        bg_thr: Threshold of the background after the walk, in [0, 1].
        crf_iters: Iterations of the CRF on the result; 0, the default, leaves it out.
        **kwargs: Arguments of :class:`WeakClassifier`.

    Raises:
        ValueError: If there is no background class, or a setting is out of range.
    """

    uses_train_cam = True
    warmup = Phase("dict(type='WeakWarmupHook', iters=0)")

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        loss_affinity: dict | None = None,
        loss_displacement: dict | None = None,
        walk: dict | None = None,
        crf: dict | None = None,
        alphas: Sequence[float] = (4.0, 32.0),
        bg_thr: float = 0.25,
        crf_iters: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_background(self)
        check_value('bg_thr', bg_thr, at_least=0, at_most=1)
        head = {'type': 'InterPixelHead', **(affinity_head or {})}
        self.affinity_head = MODELS.build(head)
        self.loss_affinity = MODELS.build(loss_affinity or {'type': 'PairAffinityLoss'})
        self.loss_displacement = MODELS.build(
            loss_displacement or {'type': 'DisplacementLoss'}
        )
        self.walk = MODELS.build({'type': 'RandomWalk', 'beta': 10.0, **(walk or {})})
        self.regions = ConfidentRegions(crf, alphas, crf_iters)
        self.bg_thr = bg_thr
        self.crf_iters = crf_iters

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of the classifier, the boundaries and the displacements.

        Args:
            inputs: Normalized crops (N, 3, H, W).
            data_samples: N data samples with ``gt_tags``, and some with
                ``pseudo_label`` or a mask ``gt_sem_seg``.
        """
        feats = self.extract_feat(inputs)
        losses = self.classification_losses(feats, stack_tags(data_samples))
        if self.warmup:
            return losses | {'loss_idle': zero_loss(self.parameters())}

        valid = valid_maps(data_samples, inputs)
        cam = self.regions.cam(self, inputs, data_samples, feats)
        label = self.regions.label(self, inputs, data_samples, cam, valid)
        boundary, field = self.affinity_head(feats)
        small = resize_labels(label, boundary.shape[1:])
        radius = self.walk.radius
        affinity = boundary_affinity(boundary, radius)
        losses['loss_affinity'] = self.loss_affinity(affinity, small, radius)
        losses['loss_displacement'] = self.loss_displacement(field, small, radius)
        losses['ratio_labeled'] = label_ratios(label, valid)['ratio_labeled']
        return losses

    def pseudo_sources(self) -> Sources:
        """Return ``cam``, ``prediction`` and ``affinity``."""
        return super().pseudo_sources() | {'affinity': self.label_from_walk}

    def label_from_walk(self, context: InferenceContext) -> PseudoLabel:
        """Spread the seed by the random walk, and cut the result at ``bg_thr``."""
        boundary, _ = self.affinity_head(context.feats)
        seed = resize(seed_of(context), boundary.shape[1:])
        seed = seed * (1 - boundary.float())[:, None]
        present = context.tags[0] > 0
        walked = torch.zeros_like(seed)
        affinity = boundary_affinity(boundary, self.walk.radius)
        walked[:, present] = self.walk(seed[:, present], affinity)
        walked = context.resize(walked)
        walked = walked / walked.amax((1, 2, 3), keepdim=True).clamp(min=1e-5)
        prob = torch.cat([torch.full_like(walked[:, :1], self.bg_thr), walked], 1)
        if not self.crf_iters:
            return cam_to_label(walked, context.tags, bg_thr=self.bg_thr), prob
        present = present_classes(context.tags)
        prob = self.regions.last_crf(context.img, prob, class_mask=present)
        return channel_argmax(prob), prob
