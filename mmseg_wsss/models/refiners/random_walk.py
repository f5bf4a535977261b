"""Random walk along the affinities of pixel pairs."""

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import half_disk, windows


@MODELS.register_module()
class RandomWalk:
    """Random walk that spreads maps along affinities of near pixels.

    ``vec(M) <- T^t vec(M)`` with ``T = D^-1 A^beta``, where ``A`` holds the affinities
    of pixels closer than ``radius``, 1 on its diagonal, and ``D`` the sums of its rows.
    ``T`` is applied ``t`` times, pair by pair, in place of squaring a matrix of n x n:
    an image of 500 x 375 (n = 63 x 47 = 2961) needs 0.4 MB for the 34 affinities of a
    pixel at radius 5, the matrix 35 MB. Source: Ahn and Kwak, "Learning Pixel-level
    Semantic Affinity with Image-level Supervision for Weakly Supervised Semantic
    Segmentation" (PSA), https://arxiv.org/abs/1803.10464.

    Args:
        radius: Radius of the pairs in cells, see
            :func:`~mmseg_wsss.models.utils.half_disk`.
        beta: Power of the affinities, element by element.
        steps: Number t of steps, at least 0; PSA takes 2 ** 8.

    Raises:
        ValueError: If ``steps`` is negative or ``radius`` below 2.

    Example:
        >>> walk = RandomWalk(radius=2, beta=1.0, steps=1)
        >>> cam = torch.tensor([[[[1.0, 0.0]]]])
        >>> affinity = torch.ones(1, 4, 1, 2)  # 4 pairs a pixel at radius 2
        >>> walk(cam, affinity)
        tensor([[[[0.5000, 0.5000]]]])
    """

    def __init__(self, radius: int = 5, beta: float = 8.0, steps: int = 256) -> None:
        if steps < 0:
            raise ValueError(f'steps must not be negative, got {steps}')
        if beta < 0:
            raise ValueError(f'beta must not be negative, got {beta}')
        self.radius = radius
        self.beta = beta
        self.steps = steps
        self.num_pairs = len(half_disk(radius))

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, maps: Tensor, affinity: Tensor) -> Tensor:
        """Spread maps.

        Args:
            maps: Maps (N, C, h, w).
            affinity: Affinities (N, P, h, w) in [0, 1].

        Returns:
            Maps (N, C, h, w), float32.

        Raises:
            ValueError: If the shapes do not fit.
        """
        shape = (len(maps), self.num_pairs, *maps.shape[2:])
        if tuple(affinity.shape) != shape:
            raise ValueError(
                f'expected affinities {shape} for maps {tuple(maps.shape)} at radius '
                f'{self.radius}, got {tuple(affinity.shape)}'
            )
        affinity = affinity.float() ** self.beta
        pairs = [
            (affinity[:, None, pair][(..., *one)], (..., *one), (..., *other))
            for pair, offset in enumerate(half_disk(self.radius))
            for one, other in [windows(maps.shape[2:], offset)]
        ]
        maps = maps.float()
        total = _spread(torch.ones_like(maps[:, :1]), pairs)
        for _ in range(self.steps):
            maps = _spread(maps, pairs) / total
        return maps


def _spread(maps: Tensor, pairs: list[tuple[Tensor, tuple, tuple]]) -> Tensor:
    """Multiply maps (N, C, h, w) by ``A^beta``; the diagonal of ``A`` is 1."""
    spread = maps.clone()
    for weight, one, other in pairs:
        spread[one].addcmul_(weight, maps[other])
        spread[other].addcmul_(weight, maps[one])
    return spread
