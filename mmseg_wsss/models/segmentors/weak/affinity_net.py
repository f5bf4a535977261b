"""AffinityNet (PSA): seeds spread along learned affinities between pixels."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import check_value

from ...cam import Feats
from ...losses import one_collective
from ...pseudo_labels import background_score, present_classes
from ...utils import (
    Phase,
    channel_argmax,
    pair_affinity,
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
class AffinityNet(WeakClassifier):
    """Affinities of nearby pixels, trained on the confident regions of seeds (PSA).

    ``L = L_cls + L_aff``. The label of ``L_aff`` is ``pseudo_label`` of the data
    samples, if ``LoadPseudoLabel`` loads one, as in the pipeline of several stages (in
    which ``loss_cls`` has the weight 0); otherwise the confident regions of the
    network's CAM, see :class:`.ConfidentRegions`. A mask of the image replaces either.
    The seed of the random walk is the soft map ``cam_seed`` of a data sample if it has
    one, otherwise the CAM. Source: Ahn and Kwak, "Learning Pixel-level Semantic
    Affinity with Image-level Supervision for Weakly Supervised Semantic Segmentation",
    https://arxiv.org/abs/1803.10464.

    Args:
        affinity_head: Config of the head that computes the features to compare.
        loss_affinity: Config of the loss, called with (affinity, label, radius).
        walk: Config of the random walk; :class:`.RandomWalk` by default. Its radius is
            also the radius of the loss.
        crf: Config of the CRF that refines labels and the result.
        alphas: Exponents la and ha of the background score, see
            :func:`.affinity_labels`.
        walk_alpha: Exponent of the background score in the walk.
        crf_iters: Iterations of the CRF on the result; 0 leaves it out.
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
        walk: dict | None = None,
        crf: dict | None = None,
        alphas: Sequence[float] = (4.0, 32.0),
        walk_alpha: float = 16.0,
        crf_iters: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_background(self)
        check_value('walk_alpha', walk_alpha, above=0)
        head = {'type': 'PixelAffinityHead', **(affinity_head or {})}
        self.affinity_head = MODELS.build(head)
        self.loss_affinity = MODELS.build(loss_affinity or {'type': 'PairAffinityLoss'})
        self.walk = MODELS.build({'type': 'RandomWalk', **(walk or {})})
        self.regions = ConfidentRegions(crf, alphas, crf_iters)
        self.walk_alpha = walk_alpha
        self.crf_iters = crf_iters

    @one_collective
    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of the classifier and of the affinities.

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
        affinity = self.affinity(feats)
        small = resize_labels(label, affinity.shape[2:])
        losses['loss_affinity'] = self.loss_affinity(affinity, small, self.walk.radius)
        losses['ratio_labeled'] = label_ratios(label, valid)['ratio_labeled']
        return losses

    def affinity(self, feats: Feats) -> Tensor:
        """Compute affinities (N, P, h, w) of features by :func:`.pair_affinity`."""
        return pair_affinity(self.affinity_head(feats), self.walk.radius)

    def pseudo_sources(self) -> Sources:
        """Return ``cam``, ``prediction`` and ``affinity``."""
        return super().pseudo_sources() | {'affinity': self.label_from_walk}

    def label_from_walk(self, context: InferenceContext) -> PseudoLabel:
        """Spread the seed by the random walk, and refine the result by the CRF."""
        affinity = self.affinity(context.feats)
        small = resize(seed_of(context), affinity.shape[2:])
        scores = torch.cat([background_score(small, self.walk_alpha), small], 1)
        present = present_classes(context.tags)[0]
        walked = torch.zeros_like(scores)
        walked[:, present] = self.walk(scores[:, present], affinity)
        prob = context.resize(walked)
        prob = prob / prob.sum(1, keepdim=True).clamp(min=1e-5)
        if self.crf_iters:
            prob = self.regions.last_crf(context.img, prob, class_mask=present[None])
        return channel_argmax(prob), prob
