import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import half_disk, windows


@MODELS.register_module()
class RandomWalk:
    """Spread maps along affinities of near pixels, many steps far.

    ``vec(M) <- T^t vec(M)`` with ``T = D^-1 A^beta``, where ``A`` holds the affinities
    of pixels closer than ``radius``, 1 on its diagonal, and ``D`` the sums of its rows
    (Ahn and Kwak 2018; rcm_mam.md, section 11). ``T`` is kept as the pairs that are not
    0 and applied ``t`` times, in place of squaring a matrix of n x n: for a picture of
    500 x 375 (n = 63 x 47 = 2961) at radius 5 it has 204 thousand entries, under 6 MB
    with their indices, where a matrix of n x n has 35 MB.

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
        with torch.autocast(maps.device.type, enabled=False):
            walked = [self._walk(*row) for row in zip(maps.float(), affinity.float())]
        return torch.stack(walked)

    def _walk(self, maps: Tensor, affinity: Tensor) -> Tensor:
        """Walk of one picture's maps (C, h, w)."""
        step = self.transition(affinity)
        values = maps.flatten(1).T.contiguous()
        for _ in range(self.steps):
            values = torch.sparse.mm(step, values)
        return values.T.reshape(maps.shape)

    def transition(self, affinity: Tensor) -> Tensor:
        """Transition matrix T, sparse (h * w, h * w), of affinities (P, h, w)."""
        height, width = affinity.shape[1:]
        cells = torch.arange(height * width, device=affinity.device)
        grid = cells.view(height, width)
        rows, cols, values = [cells], [cells], [torch.ones_like(cells).to(affinity)]
        for weight, offset in zip(affinity**self.beta, half_disk(self.radius)):
            first, second = windows((height, width), offset)
            one, other = grid[first].flatten(), grid[second].flatten()
            rows += [one, other]
            cols += [other, one]
            values += [weight[first].flatten()] * 2
        row, value = torch.cat(rows), torch.cat(values)
        total = torch.zeros_like(cells).to(value).index_add_(0, row, value)
        index = torch.stack([row, torch.cat(cols)])
        size = (len(cells), len(cells))
        value = value / total[row]
        return torch.sparse_coo_tensor(
            index, value, size, check_invariants=False
        ).coalesce()
