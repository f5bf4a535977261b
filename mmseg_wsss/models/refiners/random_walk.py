import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import half_disk, windows


@MODELS.register_module()
class RandomWalk:
    """Spread maps along affinities of near pixels, many steps far.

    ``vec(M) <- T^t vec(M)`` with ``T = D^-1 A^beta``, where ``A`` holds the affinities
    of pixels closer than ``radius``, 1 on its diagonal, and ``D`` the sums of its rows
    (Ahn and Kwak 2018; rcm_mam.md, section 11). ``T`` is applied ``t`` times, pair by
    pair, in place of squaring a matrix of n x n: an image of 500 x 375 (n = 63 x 47 =
    2961) needs 0.4 MB for the 34 affinities of a pixel at radius 5, the matrix 35 MB.

    Args:
        radius: Radius of the pairs, see :func:`half_disk`.
        beta: Power of the affinities, element by element.
        steps: Number t of steps; PSA's 2 ** 8 by default.
    """

    def __init__(self, radius: int = 5, beta: float = 8.0, steps: int = 256) -> None:
        if steps < 0:
            raise ValueError(f'steps must not be negative, got {steps}')
        self.radius = radius
        self.beta = beta
        self.steps = steps
        self.num_pairs = len(half_disk(radius))

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, maps: Tensor, affinity: Tensor) -> Tensor:
        """Maps after the walk.

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
    """``A^beta`` times maps (N, C, h, w)."""
    spread = maps.clone()
    for weight, one, other in pairs:
        spread[one].addcmul_(weight, maps[other])
        spread[other].addcmul_(weight, maps[one])
    return spread
