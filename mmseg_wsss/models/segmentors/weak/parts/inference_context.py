"""One image at its original size, with the inputs of pseudo-labels."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor, nn

from ....pseudo_labels import normalize_cam
from ....utils import resize
from .samples import denormalize, stack_tags


class InferenceNetwork(Protocol):
    """Protocol of networks for :class:`InferenceContext`, such as ``WeakSegmentor``."""

    data_preprocessor: nn.Module
    cam_normalization: str
    has_background: bool
    test_settings: Any

    def pseudo_sources(self) -> dict[str, Callable]:
        """Return the functions of the pseudo-labels that can be exported, by name."""

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Extract the features of the backbone and neck."""

    def extract_cam(self, inputs: Tensor, size: Sequence[int]) -> Tensor:
        """Extract the CAM (N, K, *size) by the settings of ``test_cfg``."""

    def predict_prob(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Predict probabilities (N, C, H, W) by the mode of ``test_cfg``."""


class InferenceContext:
    """A test image with its CAM, features and probabilities, computed on demand.

    Args:
        model: Segmentor.
        inputs: Normalized image (1, 3, h, w), possibly padded right and below.
        data_sample: Data sample with ``ori_shape`` and ``img_shape``; with ``gt_tags``
            if a pseudo-label needs tags; and with a soft map ``cam_seed`` (C, ...) if
            another method computed one.
        raw_cam: Precomputed CAM (1, K, h, w) of ``inputs``, not normalized; used only
            if the image is neither padded nor resized.
    """

    def __init__(
        self,
        model: InferenceNetwork,
        inputs: Tensor,
        data_sample: Any,
        raw_cam: Tensor | None = None,
    ) -> None:
        meta = data_sample.metainfo
        height, width = meta.get('img_shape', inputs.shape[2:])[:2]
        self.model = model
        self.inputs = inputs[..., :height, :width]
        self.size = tuple(meta.get('ori_shape', (height, width))[:2])
        self.data_sample = data_sample
        original = self.inputs.shape == inputs.shape and self.size == inputs.shape[2:]
        self._raw_cam = raw_cam if original else None

    @cached_property
    def tags(self) -> Tensor:
        """Tags (1, K); a KeyError if the data sample has none."""
        return stack_tags([self.data_sample]).to(self.inputs)

    def resize(self, maps: Tensor) -> Tensor:
        """Resize maps (1, C, ...) to the original size (1, C, H, W)."""
        return resize(maps, self.size)

    @cached_property
    def img(self) -> Tensor:
        """Colors (1, 3, H, W) in 0..255, the guide of refiners."""
        return self.resize(denormalize(self.inputs, self.model.data_preprocessor))

    @cached_property
    def feats(self) -> Sequence[Tensor]:
        """Features of the backbone and neck at scale 1."""
        return self.model.extract_feat(self.inputs)

    @cached_property
    def cam(self) -> Tensor:
        """CAM (1, K, H, W) in [0, 1], 0 for absent tags."""
        cam = self._raw_cam
        if cam is None:
            cam = self.model.extract_cam(self.inputs, self.size)
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
        """Predicted probabilities (1, C, H, W)."""
        meta = {'img_shape': self.inputs.shape[2:], 'ori_shape': self.size}
        if 'gt_tags' in self.data_sample:
            meta['tags'] = self.data_sample.gt_tags.label
        return self.resize(self.model.predict_prob(self.inputs, [meta]))
