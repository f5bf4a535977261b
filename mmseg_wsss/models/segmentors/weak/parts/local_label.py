"""Pseudo-labels of AFA and TSCD, and the affinity head that goes with them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.labels import IGNORE_INDEX
from mmseg_wsss.utils.settings import check_value

from ....cam import CAMNetwork, Feats
from ....pseudo_labels import (
    all_channels,
    merge_backgrounds,
    random_walk,
    refine_inside,
    refine_probs,
    strongest_labels,
    tagged_probs,
)
from ....utils import resize, scaled_size
from .inference_context import InferenceContext
from .pseudo_label_export import PseudoLabel, Sources, label_from_cam


class Affinity(NamedTuple):
    """Affinity of the cells of a feature map.

    Args:
        values: Affinities (N, h * w, h * w).
        size: Height h and width w.
    """

    values: Tensor
    size: Sequence[int]


def check_thresholds(high_thr: float, low_thr: float) -> None:
    """Raise a ValueError unless ``low_thr <= high_thr <= 1``."""
    check_value('high_thr', high_thr, at_most=1)
    if low_thr > high_thr:
        raise ValueError(f'low_thr must be at most high_thr={high_thr}, got {low_thr}')


def build_affinity_head(cfg: Mapping[str, Any], network: CAMNetwork) -> Any:
    """Build an affinity head for a backbone.

    By default its inputs are ``affinity_inputs`` of the backbone; for a backbone
    without this attribute, a 256-channel embedding of the features that the CAM uses.

    Args:
        cfg: Settings that override these.
        network: Network with backbone and classifier.
    """
    embedding = {
        'in_channels': network.cam_head.in_channels,
        'in_index': network.cam_head.in_index,
        'embed_channels': 256,
    }
    inputs = getattr(network.backbone, 'affinity_inputs', embedding)
    return MODELS.build({'type': 'AttentionAffinityHead', **inputs, **cfg})


def affinity_grid(head: Any, feats: Feats) -> tuple[int, ...]:
    """Return the height and width of the grid of an affinity head."""
    return tuple(feats[head.in_index].shape[2:])


@torch.no_grad()
def affinity_of(head: Any, feats: Feats) -> Affinity:
    """Compute the affinity of features by an affinity head, without gradient."""
    return Affinity(head(feats), affinity_grid(head, feats))


class BackgroundPairLabeler:
    """Label from a CAM refined locally under two background scores.

    The CAM and a constant background score go through a softmax over the tagged
    classes, and the result is refined by the colors of the image. A pixel is labeled
    as a class if this class wins against the high background score, and as background
    if the background wins under both; otherwise it is ignored. With an affinity the
    softmax is followed by a random walk. Source: Ru et al., "Learning Affinity from
    Attention" (AFA), section 3.3, https://arxiv.org/abs/2203.02664.

    Args:
        refiner: Refiner, called with images in [0, 1] and maps, and after a random walk
            also with ``sizes`` of the images, see :class:`.LocalAffinityRefiner`.
        high_thr: High background score.
        low_thr: Low background score.
        refine_scale: Size of the image that guides the refiner, relative to the crop.
        radius: Largest step of the random walk, in grid cells.
    """

    def __init__(
        self,
        refiner: Any,
        high_thr: float,
        low_thr: float,
        refine_scale: float,
        radius: int,
    ) -> None:
        check_thresholds(high_thr, low_thr)
        check_value('refine_scale', refine_scale, above=0)
        check_value('radius', radius, at_least=0)
        self.refiner = refiner
        self.high_thr = high_thr
        self.low_thr = low_thr
        self.refine_scale = refine_scale
        self.radius = radius

    @torch.no_grad()
    @torch.compiler.disable
    def __call__(
        self,
        cam: Tensor,
        tags: Tensor,
        img: Tensor,
        valid: Tensor | None = None,
        affinity: Affinity | None = None,
    ) -> Tensor:
        """Compute the label.

        Args:
            cam: CAM (N, K, H, W) in [0, 1].
            tags: Image tags (N, K).
            img: Colors (N, 3, H, W) in 0..255.
            valid: Pixels (N, H, W) bool of the image, not padding; all by default.
            affinity: Affinity of the random walk; None leaves it out.

        Returns:
            Label (N, H, W) int64, 255 for ignored pixels and padding.
        """
        scores = self.high_thr, self.low_thr
        maps, labels = self.refine(cam, tags, img, scores, valid, affinity)
        high, low = strongest_labels(maps, labels).unbind(1)
        label = merge_backgrounds(high, low)
        return label if valid is None else label.masked_fill(~valid, IGNORE_INDEX)

    def refine(
        self,
        cam: Tensor,
        tags: Tensor,
        img: Tensor,
        backgrounds: Sequence[float],
        valid: Tensor | None = None,
        affinity: Affinity | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Refine the CAM under T background scores.

        Arguments are the same as in :meth:`__call__`. After a random walk padding is
        left out of the refinement.

        Returns:
            Maps (N, T, M, H, W), and the label of each channel (N, M), see
            :func:`.tagged_probs`.
        """
        if affinity is None:
            small = resize(cam, scaled_size(img.shape[2:], self.refine_scale))
            prob, labels = tagged_probs(small, tags, backgrounds)
        else:
            prob, labels = self.walk(cam, tags, backgrounds, affinity)
            flat = resize(prob.flatten(1, 2), img.shape[2:])
            prob = flat.unflatten(1, prob.shape[1:3])
            if valid is not None:
                how = self.refiner, self.refine_scale
                return refine_inside(prob, img, valid, *how), labels
        return refine_probs(prob, img, self.refiner, self.refine_scale), labels

    def walk(
        self,
        cam: Tensor,
        tags: Tensor,
        backgrounds: Sequence[float],
        affinity: Affinity,
    ) -> tuple[Tensor, Tensor]:
        """Spread the CAM by a random walk on the grid of the affinity.

        Returns:
            Maps (N, T, M, h, w), and the label of each channel (N, M).
        """
        small = resize(cam, affinity.size)
        prob, labels = tagged_probs(small, tags, backgrounds)
        return random_walk(prob, affinity.values, self.radius), labels


def local_sources() -> Sources:
    """Return the pseudo-label functions of AFA and TSCD, by name.

    They use the attributes ``labeler`` and ``affinity_head`` of the segmentor.
    """
    return {
        'merged': label_from_merged_cam,
        'cam_refined': label_from_refined_cam,
        'affinity': label_from_affinity,
    }


def label_from_merged_cam(context: InferenceContext) -> PseudoLabel:
    """Compute the sparse label ``Y``, as in training, and the maps of the CAM."""
    model: Any = context.model
    label = model.labeler(context.cam, context.tags, context.img)
    return label, label_from_cam(context)[1]


def label_from_refined_cam(context: InferenceContext) -> PseudoLabel:
    """Refine the CAM with the background score ``test_cfg.bg_thr``."""
    model: Any = context.model
    bg_thr = model.test_settings.bg_thr
    refine = model.labeler.refine
    maps, labels = refine(context.cam, context.tags, context.img, [bg_thr])
    return _strongest(maps, labels, model.num_classes)


def label_from_affinity(context: InferenceContext) -> PseudoLabel:
    """Spread the CAM by a random walk along the affinity, without refinement."""
    model: Any = context.model
    affinity = affinity_of(model.affinity_head, context.feats)
    bg_thr = model.labeler.low_thr
    maps, labels = model.labeler.walk(context.cam, context.tags, [bg_thr], affinity)
    maps = context.resize(maps[:, 0])[:, None]
    return _strongest(maps, labels, model.num_classes)


def _strongest(maps: Tensor, labels: Tensor, num_classes: int) -> PseudoLabel:
    label = strongest_labels(maps, labels)[:, 0]
    return label, all_channels(maps[:, 0], labels, num_classes)
