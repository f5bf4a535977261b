"""Class-free masks that take their class from a pseudo-label.

Source: Chen et al., "Segment Anything Model (SAM) Enhanced Pseudo Labels for Weakly
Supervised Semantic Segmentation" (SEPL), https://arxiv.org/abs/2305.05803.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .tags import keep_tagged

NUM_VALUES = 256  # of labels: 255 is ignored


@torch.no_grad()
def vote_regions(
    regions: Sequence[Tensor], pseudo: Tensor, tags: Tensor, background: bool = True
) -> Tensor:
    """Label each region with the class that most of its pixels have.

    Pixels of 255 or of a class without a tag do not vote; the lowest label wins a tie.
    Larger regions are labeled first, so that smaller ones lie on top; of two regions of
    equal size, the later one does. A region without a vote labels nothing.

    Args:
        regions: Positions of the pixels of each region in the flattened image (P,)
            int64, without repetitions; regions may overlap, and P may be 0.
        pseudo: Pseudo-label (H, W) int64 in [0, C), or 255.
        tags: Image tags (K,) in {0, 1}.
        background: Whether class 0 is the background (C = K + 1), which every image
            may have.

    Returns:
        Label (H, W) int64; 255 outside all labeled regions.

    Example:
        >>> pseudo = torch.tensor([[0, 1, 1, 2]])
        >>> left, last = torch.tensor([0, 1, 2]), torch.tensor([3])
        >>> vote_regions([left, last], pseudo, torch.tensor([1, 0]))  # not class 2
        tensor([[  1,   1,   1, 255]])
    """
    votes = keep_tagged(pseudo, tags, background).flatten()
    label = torch.full_like(votes, 255)
    for region in sorted(regions, key=len, reverse=True):
        count = votes[region].bincount(minlength=NUM_VALUES)[: NUM_VALUES - 1]
        if count.any():
            label[region] = count.argmax()
    return label.view_as(pseudo)
