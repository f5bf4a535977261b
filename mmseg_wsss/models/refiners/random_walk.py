"""Random walk along the affinities of pixel pairs."""

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import half_disk, windows


@MODELS.register_module()
class RandomWalk:
    """Random walk that spreads maps along affinities of nearby pixels.

    ``vec(M) <- T^t vec(M)`` with ``T = D^-1 A^beta``, where ``A`` holds the affinities
    of pixels closer than ``radius``, 1 on its diagonal, and ``D`` the row sums of
    ``A^beta``. On a CPU, ``T`` is applied ``t`` times, pair by pair, without forming an
    n x n matrix: for an image of 500 x 375 pixels (n = 63 x 47 = 2961), the 34
    affinities per cell at radius 5 take 0.4 MB, the matrix 35 MB. On other devices,
    where each pair costs kernel launches, the matrix is squared ``log2(t)`` times.
    Source: Ahn and Kwak, "Learning Pixel-level Semantic Affinity with Image-level
    Supervision for Weakly Supervised Semantic Segmentation" (PSA),
    https://arxiv.org/abs/1803.10464.

    Args:
        radius: Radius of the pairs in cells, at least 2, see
            :func:`~mmseg_wsss.models.utils.half_disk`.
        beta: Elementwise power of the affinities, at least 0.
        steps: Number t of steps, at least 0; 2 ** 8 in PSA.

    Raises:
        ValueError: If ``steps`` or ``beta`` is negative, or ``radius`` is below 2.

    Example:
        >>> walk = RandomWalk(radius=2, beta=1.0, steps=1)
        >>> cam = torch.tensor([[[[1.0, 0.0]]]])
        >>> affinity = torch.ones(1, 4, 1, 2)  # 4 pairs per pixel at radius 2
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
        """Spread maps by ``steps`` steps of the random walk.

        Args:
            maps: Maps (N, C, h, w).
            affinity: Affinities (N, P, h, w) in [0, 1].

        Returns:
            Maps (N, C, h, w), float32.

        Raises:
            ValueError: If the shapes do not match.
        """
        shape = (len(maps), self.num_pairs, *maps.shape[2:])
        if tuple(affinity.shape) != shape:
            raise ValueError(
                f'expected affinities {shape} for maps {tuple(maps.shape)} at radius '
                f'{self.radius}, got {tuple(affinity.shape)}'
            )
        affinity = affinity.float() ** self.beta
        maps = maps.float()
        if maps.device.type != 'cpu':
            return self._by_squaring(maps, affinity)
        pairs = [
            (affinity[:, None, pair][(..., *one)], (..., *one), (..., *other))
            for pair, offset in enumerate(half_disk(self.radius))
            for one, other in [windows(maps.shape[2:], offset)]
        ]
        total = _spread(torch.ones_like(maps[:, :1]), pairs)
        for _ in range(self.steps):
            maps = _spread(maps, pairs) / total
        return maps

    def _by_squaring(self, maps: Tensor, affinity: Tensor) -> Tensor:
        """Spread maps (N, C, h, w) by a power of the transition matrix.

        Args:
            maps: Maps in float32.
            affinity: Affinities (N, P, h, w) in float32, to the power of ``beta``.
        """
        size = maps.shape[2:]
        step = _matrix(affinity, half_disk(self.radius))
        step = step / step.sum(2, keepdim=True)
        spread = maps.flatten(2).mT
        for bit in range(self.steps.bit_length()):
            if bit:
                step = step @ step
            if self.steps >> bit & 1:
                spread = step @ spread
        return spread.mT.unflatten(2, size)


def _matrix(affinity: Tensor, offsets: list[tuple[int, int]]) -> Tensor:
    """Return affinities (N, P, h, w) as matrices (N, n, n) with n = h * w.

    The affinities of an offset lie on one diagonal, and mirrored on another.
    """
    num, _, height, width = affinity.shape
    matrix = torch.eye(height * width, device=affinity.device).repeat(num, 1, 1)
    for pair, offset in enumerate(offsets):
        one, _ = windows((height, width), offset)
        inside = affinity[(slice(None), pair, *one)]
        if inside.numel() == 0:
            continue
        weight = torch.zeros_like(affinity[:, pair])
        weight[(slice(None), *one)] = inside
        step = offset[0] * width + offset[1]
        weight = weight.flatten(1)[:, : matrix.shape[1] - step]
        # Offsets of narrow maps share diagonals, but no entries on them.
        matrix.diagonal(step, 1, 2).add_(weight)
        matrix.diagonal(-step, 1, 2).add_(weight)
    return matrix


def _spread(maps: Tensor, pairs: list[tuple[Tensor, tuple, tuple]]) -> Tensor:
    """Multiply maps (N, C, h, w) by ``A^beta``; the diagonal of ``A`` is 1."""
    spread = maps.clone()
    for weight, one, other in pairs:
        spread[one].addcmul_(weight, maps[other])
        spread[other].addcmul_(weight, maps[one])
    return spread
