"""Fusion of the probabilities of a decode head with class activation maps."""

import torch
from torch import Tensor

from mmseg_wsss.utils.settings import check_value

from ..utils import at_least_float32
from .cam import background_score
from .tags import present_classes


@torch.no_grad()
def fuse_cam(
    prob: Tensor,
    cam: Tensor,
    tags: Tensor,
    bg_alpha: float = 1.0,
    weight: float = 1.0,
    floor: float = 0.1,
) -> Tensor:
    """Multiply probabilities by CAM scores, for the tagged classes and the background.

    ``P_c = p_c max(s_c, floor) ** weight / Z`` with the CAM as the score of a class and
    ``s_0 = (1 - max_c s_c) ** bg_alpha`` for the background. A tagged class with a map
    of zeros gets the score of the background: the probabilities decide between the two.
    The calibration of a decoder by CAMs and tags follows PseudoSeg,
    https://arxiv.org/abs/2010.09713, which adds both instead.

    Args:
        prob: Probabilities (N, C, H, W); channel 0 is the background where C = K + 1.
        cam: Normalized CAM (N, K, H, W) in [0, 1].
        tags: Image tags (N, K) in {0, 1}.
        bg_alpha: Power of the background score, above 0; a larger one means a weaker
            background.
        weight: Power of the scores, at least 0; 0 leaves the CAM out.
        floor: Lower bound of the scores, above 0 and at most 1: limits how far a CAM
            that misses a part of an object can lower its probability.

    Returns:
        Probabilities (N, C, H, W), float32 or wider, 0 for absent classes; 0
        everywhere in images with neither a tag nor a background class.

    Raises:
        ValueError: If C is neither K nor K + 1, or a constant is out of range.

    Example:
        >>> prob = torch.tensor([0.5, 0.25, 0.25]).view(1, 3, 1, 1)
        >>> cam = torch.tensor([0.8, 1.0]).view(1, 2, 1, 1)
        >>> fuse_cam(prob, cam, torch.tensor([[1, 0]])).flatten()  # 0.1 : 0.2
        tensor([0.3333, 0.6667, 0.0000])
    """
    check_value('bg_alpha', bg_alpha, above=0)
    check_value('weight', weight, at_least=0)
    check_value('floor', floor, above=0, at_most=1)
    background = prob.shape[1] - tags.shape[1]
    if background not in (0, 1):
        raise ValueError(
            f'prob has {prob.shape[1]} channels and tags have {tags.shape[1]} classes; '
            'expected as many channels, or one more with background'
        )
    score = at_least_float32(cam) * (tags > 0)[:, :, None, None]
    if background:
        bg = background_score(score, bg_alpha)
        empty = ~score.flatten(2).any(2)[:, :, None, None]
        score = torch.cat([bg, torch.where(empty, bg, score)], 1)
    # In logarithms, which do not underflow.
    prob = at_least_float32(prob).clamp(min=1e-6)
    logits = prob.log() + weight * score.clamp(min=floor).log()
    present = present_classes(tags, bool(background))[:, :, None, None]
    return logits.masked_fill(~present, -1e4).softmax(1) * present
