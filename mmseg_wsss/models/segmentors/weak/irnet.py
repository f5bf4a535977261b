"""IRN: seeds that spread up to the boundaries of classes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ...pseudo_labels import cam_to_label, merge_cams, present_classes
from ...utils import boundary_affinity, resize_labels
from .affinity_net import AffinityNet
from .inference_context import InferenceContext
from .wsss_base import PseudoLabel


@MODELS.register_module()
class IRNet(AffinityNet):
    """Boundaries and displacements, learnt from the sure regions of seeds (IRN).

    ``L = L_cls + L_aff + L_dp``: the affinity of two pixels is 1 - the
    strongest boundary between them, and is taught as in :class:`AffinityNet`; the
    displacements are taught beside it and shape the features. For masks of classes the
    seeds, weakened on boundaries, walk along the affinities; a class holds where its
    map, divided by the maximum of the image, is above ``bg_thr``. Source: Ahn, Cho
    and Kwak, "Weakly Supervised Learning of Instance Segmentation with Inter-pixel
    Relations", CVPR 2019; its masks of instances are not offered.

    Args:
        affinity_head: Config of the head, called with the features, that gives
            boundaries and displacements.
        loss_displacement: Config of the loss, called with (field, label, radius).
        bg_thr: Threshold of the background after the walk, in [0, 1].
        walk: Config of the refiner; power 10 by default.
        crf_iters: Iterations of the CRF on the result; none by default.
        **kwargs: Arguments of :class:`AffinityNet`; ``walk_alpha`` plays no part.
    """

    def __init__(
        self,
        *args: Any,
        affinity_head: dict | None = None,
        loss_displacement: dict | None = None,
        bg_thr: float = 0.25,
        walk: dict | None = None,
        crf_iters: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            *args,
            affinity_head={'type': 'InterPixelHead', **(affinity_head or {})},
            walk={'beta': 10.0, **(walk or {})},
            crf_iters=crf_iters,
            **kwargs,
        )
        self.loss_displacement = MODELS.build(
            loss_displacement or {'type': 'DisplacementLoss'}
        )
        self.bg_thr = bg_thr

    def relation_losses(
        self, feats: Sequence[Tensor], label: Tensor
    ) -> dict[str, Tensor]:
        """Losses of boundaries and displacements on sure regions (N, H, W)."""
        boundary, field = self.affinity_head(feats)
        small = resize_labels(label, boundary.shape[1:])
        radius = self.walk.radius
        affinity = boundary_affinity(boundary, radius)
        return {
            'loss_affinity': self.loss_affinity(affinity, small, radius),
            'loss_displacement': self.loss_displacement(field, small, radius),
        }

    def label_from_walk(self, context: InferenceContext) -> PseudoLabel:
        """Dense label: the seed after the random walk, cut at ``bg_thr``."""
        cam = context.cam if context.cam_seed is None else context.cam_seed
        boundary, _ = self.affinity_head(context.feats)
        seed = merge_cams([cam], boundary.shape[1:]) * (1 - boundary.float())[:, None]
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
        prob = self.last_crf(context.img, prob, class_mask=present)
        return prob.argmax(1), prob
