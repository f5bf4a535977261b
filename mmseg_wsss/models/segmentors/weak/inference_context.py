"""One image at its original size, with what pseudo-labels are made of."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor

from ...pseudo_labels import normalize_cam

if TYPE_CHECKING:
    from .wsss_base import WSSSBase


class InferenceContext:
    """A test image whose CAM, features and probabilities are computed on demand.

    Args:
        model: Segmentor.
        inputs: Normalized image (1, 3, h, w), possibly padded right and below.
        data_sample: Data sample with ``ori_shape`` and ``img_shape``; with ``gt_tags``,
            unless nothing asks for tags; and with a soft map ``cam_seed`` (C, ...), if
            another method made one.
    """

    def __init__(self, model: 'WSSSBase', inputs: Tensor, data_sample: Any) -> None:
        meta = data_sample.metainfo
        height, width = meta.get('img_shape', inputs.shape[2:])[:2]
        self.model = model
        self.inputs = inputs[..., :height, :width]
        self.size = tuple(meta.get('ori_shape', (height, width))[:2])
        self.data_sample = data_sample

    @cached_property
    def tags(self) -> Tensor:
        """Tags (1, K); an error where the data sample has none."""
        return self.model.tags([self.data_sample]).to(self.inputs)

    def resize(self, maps: Tensor) -> Tensor:
        """Maps (1, C, ...) at the original size (1, C, H, W)."""
        if tuple(maps.shape[2:]) == self.size:
            return maps.float()
        return F.interpolate(
            maps.float(), size=self.size, mode='bilinear', align_corners=False
        )

    @cached_property
    def img(self) -> Tensor:
        """Colors (1, 3, H, W) in 0..255, the guide of refiners."""
        return self.resize(self.model.denormalize(self.inputs))

    @cached_property
    def feats(self) -> Sequence[Tensor]:
        """Features of the backbone and neck at scale 1."""
        return self.model.extract_feat(self.inputs)

    @cached_property
    def cam(self) -> Tensor:
        """CAM (1, K, H, W) in [0, 1], 0 for absent tags."""
        options = self.model.test_cfg.get('cam', {})
        cam = self.model.multi_scale_cam(self.inputs, size=self.size, **options)
        return normalize_cam(cam, self.tags, self.model.cam_normalization)

    @cached_property
    def cam_seed(self) -> Tensor | None:
        """Foreground (1, K, H, W) of the data sample's soft map, 0 for absent tags."""
        if 'cam_seed' not in self.data_sample:
            return None
        foreground = self.data_sample.cam_seed.data[None, 1:].to(self.inputs)
        return self.resize(foreground) * self.tags[:, :, None, None]

    @cached_property
    def prob(self) -> Tensor:
        """Probabilities (1, C, H, W) of the network's prediction."""
        meta = {'img_shape': self.inputs.shape[2:], 'ori_shape': self.size}
        if self.model.test_cfg.get('mode') == 'slide':
            logits = self.model.slide_inference(self.inputs, [meta])
            return self.resize(self.model.probs_of(logits))
        return self.resize(self.model.encode_probs(self.inputs, [meta]))
