from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import setting

from ..pseudo_labels import MERGES, merge_cams
from ..utils import eval_mode, rescale
from .network import CAMNetwork, Feats, cam_views, feats_by_scale, output_size


@MODELS.register_module()
@dataclass(frozen=True)
class MultiScaleCAM:
    """Merge of the positive class activation maps of several scales.

    ``M = merge_s(resize(ReLU(W f(I_s))))`` over the scales s and, if ``flip``, over
    mirror images. Only backbone, neck and ``cam_head`` run, in eval mode, without
    gradient and without updating batch statistics. Given features are used as they are:
    in training, ASDT takes scale 1 from the forward pass of the step. Source: Zhang et
    al., "Weakly Supervised Semantic Segmentation via Alternate Self-Dual Teaching",
    https://arxiv.org/abs/2112.09459.

    Args:
        scales: Factors of the height and width (bilinear, rounded down).
        flip: Whether to include mirror images.
        merge: ``'mean'``, ``'sum'`` or ``'max'`` over scales and mirror images.
        dropout: Whether dropout layers stay active, as in ASDT's released code.

    Examples:
        >>> MultiScaleCAM(scales=(0.5, 1.0), flip=True)
        MultiScaleCAM(scales=(0.5, 1.0), flip=True, merge='mean', dropout=False)
    """

    scales: tuple[float, ...] = setting((1.0,), above=0, min_length=1)
    flip: bool = False
    merge: str = setting('mean', choices=MERGES)
    dropout: bool = False

    @torch.no_grad()
    def __call__(
        self,
        network: CAMNetwork,
        inputs: Tensor,
        size: Sequence[int] | None = None,
        feats: Feats | Mapping[float, Feats] | None = None,
    ) -> Tensor:
        """Extract the CAM of images.

        Args:
            network: Network with a classifier.
            inputs: Normalized images (N, 3, H, W).
            size: Size of the result; the size of the features at scale 1 by default, or
                at the first scale if 1 is not among them.
            feats: Precomputed features of ``inputs``, at scale 1 or as a mapping from
                scales to features; they are used as they are.

        Returns:
            CAM (N, K, h, w), at least 0, not normalized, without gradient.
        """
        known = feats_by_scale(feats)
        cam_of = network.cam_head.cam
        with eval_mode(network, self.dropout):  # type: ignore[arg-type]
            cams = [
                cam_views(
                    network, cam_of, rescale(inputs, scale), self.flip, known.get(scale)
                )
                for scale in self.scales
            ]
        if size is None:
            size = output_size(network, self.scales, cams, known)
        return merge_cams([cam for views in cams for cam in views], size, self.merge)
