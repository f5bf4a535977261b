"""Labels for the supervision of affinities."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..utils import channel_argmax
from .cam import background_score
from .tags import present_classes


@torch.no_grad()
def affinity_labels(
    cam: Tensor,
    tags: Tensor,
    img: Tensor,
    crf: Callable[..., Tensor],
    alphas: Sequence[float] = (4.0, 32.0),
    ignore_index: int = 255,
) -> Tensor:
    """Label the confident regions of a CAM.

    A CRF refines the CAM with a strong background ``(1 - max M) ** alphas[0]`` and with
    a weak one. Pixels of a class under the strong background keep it, pixels of the
    background under the weak one are background, and the others are ignored. Source:
    Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level Supervision
    for Weakly Supervised Semantic Segmentation" (PSA),
    https://arxiv.org/abs/1803.10464.

    Args:
        cam: CAM (N, K, H, W) in [0, 1], 0 for absent classes.
        tags: Image tags (N, K) in {0, 1}.
        img: Colors (N, 3, H, W) in 0..255.
        crf: Called with images, scores (N, 2, C, H, W) and ``class_mask`` (N, C).
        alphas: Exponents la and ha of the strong and of the weak background score.
        ignore_index: Label of pixels that are not confident.

    Returns:
        Label (N, H, W) int64: 0 for the background, k + 1 for class k.

    Example:
        >>> cam = torch.tensor([0.9, 0.2, 0.0]).view(1, 1, 1, 3)
        >>> def no_crf(img, scores, class_mask):
        ...     return scores
        >>> affinity_labels(cam, torch.ones(1, 1), torch.zeros(1, 3, 1, 3), no_crf)
        tensor([[[  1, 255,   0]]])
    """
    scores = [torch.cat([background_score(cam, a), cam], 1) for a in alphas]
    refined = crf(img, torch.stack(scores, 1), class_mask=present_classes(tags))
    strong, weak = channel_argmax(refined, 2).unbind(1)
    return strong.masked_fill(strong == 0, ignore_index).masked_fill(weak == 0, 0)
