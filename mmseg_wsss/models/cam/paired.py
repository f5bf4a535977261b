from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS
from mmseg_wsss.utils.settings import setting

from ..pseudo_labels import MERGES, merge_cams
from ..utils import eval_mode, rescale
from .network import CAMNetwork, Feats, cam_views, feats_by_scale, output_size


@MODELS.register_module()
@dataclass(frozen=True)
class PairedCAM:
    """Merge of scales in which each image is first joined with its mirror image.

    ``M = merge_s(ReLU(max(resize(W f(I_s)), flip(resize(W f(flip(I_s)))))))``: signed
    maps are resized, the maximum of an image and its mirror image is taken, then the
    positive part, then the scales are merged. Source: Ru et al., "Learning Affinity
    from Attention" (AFA), released code; https://arxiv.org/abs/2203.02664.

    Args:
        scales: Factors of the height and width (bilinear, rounded down).
        flip: Whether to include mirror images.
        merge: ``'mean'``, ``'sum'`` or ``'max'`` over scales.
        train_mode: Whether to keep the mode of the network and also run the decode
            head, so that these images enter the batch statistics, as released by AFA.
    """

    scales: tuple[float, ...] = setting((1.0, 0.5, 1.5), above=0, min_length=1)
    flip: bool = True
    merge: str = setting('sum', choices=MERGES)
    train_mode: bool = False

    @torch.no_grad()
    def __call__(
        self,
        network: CAMNetwork,
        inputs: Tensor,
        size: Sequence[int] | None = None,
        feats: Feats | Mapping[float, Feats] | None = None,
    ) -> Tensor:
        """Extract the CAM of images.

        Arguments and result are the same as in :class:`MultiScaleCAM`. With
        ``train_mode``, given features at scale 1 are not used.
        """
        known = feats_by_scale(feats)
        if self.train_mode:
            known.pop(1.0, None)
        decode_head: Any = getattr(network, 'decode_head', None)

        def cam_of(feats: Feats) -> Tensor:
            if self.train_mode and decode_head not in (None, network):
                decode_head(feats)
            return network.cam_head.raw_cam(feats)

        with nullcontext() if self.train_mode else eval_mode(network):  # type: ignore[arg-type]
            cams = [
                cam_views(
                    network, cam_of, rescale(inputs, scale), self.flip, known.get(scale)
                )
                for scale in self.scales
            ]
        if size is None:
            size = output_size(network, self.scales, cams, known)
        pairs = [merge_cams(views, size, 'max').relu() for views in cams]
        return merge_cams(pairs, size, self.merge)
