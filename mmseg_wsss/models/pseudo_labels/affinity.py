"""Labels that affinities are learnt from."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

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
    """Regions of a CAM that are sure (rcm_mam.md, section 11; PSA).

    The CAM goes through a CRF with a strong background ``(1 - max M) ** alphas[0]`` and
    with a weak one: what the first calls a class keeps it, what the second calls
    background is background, the rest is ignored.

    Args:
        cam: CAM (N, K, H, W) in [0, 1], 0 for absent classes.
        tags: Image tags (N, K) in {0, 1}.
        img: Colors (N, 3, H, W) in 0..255.
        crf: Called with images, scores (N, 2, C, H, W) and ``class_mask`` (N, C).
        alphas: Powers la and ha of the strong and of the weak background.
        ignore_index: Label of pixels that are not sure.

    Returns:
        Label (N, H, W) int64: 0 for the background, k + 1 for class k.
    """
    scores = [torch.cat([background_score(cam, a), cam], 1) for a in alphas]
    refined = crf(img, torch.stack(scores, 1), class_mask=present_classes(tags))
    strong, weak = refined.argmax(2).unbind(1)
    return strong.masked_fill(strong == 0, ignore_index).masked_fill(weak == 0, 0)
