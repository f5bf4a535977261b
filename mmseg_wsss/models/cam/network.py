"""Forward passes of a classifier for CAM extraction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..utils import matches_eval_mode

Feats = Sequence[Tensor]
CPU_PIXELS = 1 << 17  # of one forward pass without gradient on a CPU


class CAMNetwork(Protocol):
    """Protocol of networks with a classifier, such as ``WeakClassifier``."""

    backbone: nn.Module
    cam_head: Any

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""

    def extract_feat(self, inputs: Tensor) -> Feats:
        """Extract the features of the backbone and neck."""


def forward_in_parts(function: Callable[[Tensor], Tensor], img: Tensor) -> Tensor:
    """Apply a function without gradient to images.

    On a CPU it is applied to a few images at a time, in channels-last order, so that
    the activations stay in the cache.

    Args:
        function: Function from images to a tensor (N, ...).
        img: Images (N, 3, H, W).

    Returns:
        Result of the function for all images.
    """
    if img.device.type != 'cpu':
        return function(img)
    at_once = max(CPU_PIXELS // (img.shape[2] * img.shape[3]), 1)
    parts = img.contiguous(memory_format=torch.channels_last).split(at_once)
    return torch.cat([function(part) for part in parts])


def cam_views(
    network: CAMNetwork,
    cam_of: Callable[[Feats], Tensor],
    img: Tensor,
    flip: bool,
    feats: Feats | None = None,
) -> list[Tensor]:
    """Compute the CAM of images and of their mirror images.

    Images and their mirror images share one forward pass.

    Args:
        network: Network that extracts the features.
        cam_of: Function from features to a CAM (N, K, h, w).
        img: Images (N, 3, H, W).
        flip: Whether to include mirror images.
        feats: Precomputed features of ``img``, or of ``img`` and its mirror images in
            one batch.

    Returns:
        CAMs (N, K, h, w) float32: of the images, and flipped back, of their mirrors.
    """

    def forward(part: Tensor) -> Tensor:
        return cam_of(network.extract_feat(part))

    def cam_of_images(part: Tensor) -> Tensor:
        # Batch statistics are computed on the whole batch.
        whole = network.backbone.training
        return forward(part) if whole else forward_in_parts(forward, part)

    if feats is None:
        cam = cam_of_images(torch.cat([img, img.flip(-1)]) if flip else img)
    else:
        cam = cam_of(feats)
        if flip and len(cam) == len(img):
            cam = torch.cat([cam, cam_of_images(img.flip(-1))])
    if not flip:
        return [cam.float()]
    plain, flipped = cam.float().chunk(2)
    return [plain, flipped.flip(-1)]


def feats_by_scale(feats: Feats | Mapping[float, Feats] | None) -> dict[float, Feats]:
    """Return features as a mapping from scales; a sequence belongs to scale 1."""
    if feats is None:
        return {}
    return dict(feats) if isinstance(feats, Mapping) else {1.0: feats}


def output_size(
    network: CAMNetwork,
    scales: Sequence[float],
    cams: Sequence[Sequence[Tensor]],
    feats: Mapping[float, Feats],
) -> Sequence[int]:
    """Return the size of the features at scale 1, or else at the first scale."""
    if 1 in feats:
        return feats[1][network.cam_head.in_index].shape[2:]
    return cams[scales.index(1) if 1 in scales else 0][0].shape[2:]


def reusable_feats(network: Any, feats: Feats) -> dict[float, Feats]:
    """Return the features of a training step, if an extractor may reuse them.

    It may not if they differ from the features in eval mode, for example because of
    drop path or batch statistics.

    Args:
        network: Network with a backbone and possibly a neck.
        feats: Its features at scale 1.

    Returns:
        Mapping from scale 1 to the detached features, or an empty mapping.
    """
    trunk = [network.backbone, *([network.neck] if network.with_neck else [])]
    if not all(map(matches_eval_mode, trunk)):
        return {}
    return {1.0: [feat.detach() for feat in feats]}
