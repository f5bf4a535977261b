"""Pairwise terms of a dense CRF on given images, built once and shared.

Source: Kraehenbuehl and Koltun, NIPS 2011, https://arxiv.org/abs/1210.5644.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .permutohedral import LatticeFilter, build_lattice, stack_filters


@dataclass(frozen=True)
class PairwiseTerm:
    """Gaussian Potts term of the pairwise energy (Kraehenbuehl and Koltun, eq. 3).

    Attributes:
        sxy: Standard deviation of positions, in pixels.
        srgb: Standard deviation of colors in 0..255; None leaves colors out.
        compat: Weight of the term.
    """

    sxy: float
    srgb: float | None
    compat: float


@dataclass(frozen=True)
class PairwiseKernel:
    """Sum of weighted kernels, each normalized to ``D^-1/2 K D^-1/2``.

    Attributes:
        filter: Linear map from label probabilities (n, C) to messages (n, C).
        bound: Largest row sum, hence the largest message that a label can receive; a
            scalar tensor except on a CPU.
    """

    filter: Callable[[Tensor], Tensor]
    bound: float | Tensor


class CRFGuide:
    """Images and the pairwise kernels of the CRFs that run on them.

    A kernel is built at its first use. CRFs with the same settings share it, and CRFs
    that differ in one term share the lattice of the other. On the CPU every image has
    a kernel, elsewhere all images of a batch share one (block diagonal).

    Args:
        img: RGB images (N, 3, H, W) in 0..255; rounded to whole values.

    Attributes:
        img: The rounded images.
        size: Their height and width.
        bounds: Smallest and largest value (2,) before rounding.

    Raises:
        ValueError: If ``img`` has another shape or values outside 0..255 (checked by
            the first CRF if the images are not on a CPU, to wait for the device once).
    """

    def __init__(self, img: Tensor) -> None:
        if img.dim() != 4 or img.shape[1] != 3 or 0 in img.shape:
            raise ValueError(
                f'img: expected non-empty shape (N, 3, H, W), found {tuple(img.shape)}'
            )
        img = img.detach().float()
        self.bounds = torch.stack(img.aminmax())
        if img.device.type == 'cpu':
            check_colors(*self.bounds.tolist())
        self.img = img.round().clamp_(0, 255)
        self.size = (img.shape[2], img.shape[3])
        self._reduced: dict[tuple[int, int], Tensor] = {self.size: self.img}
        self._lattices: dict[tuple, LatticeFilter] = {}
        self._kernels: dict[tuple, PairwiseKernel] = {}

    @property
    def chunks(self) -> list[slice]:
        """Slices of the batch that are filtered together."""
        num = len(self.img)
        if self.img.device.type == 'cpu':
            return [slice(i, i + 1) for i in range(num)]
        return [slice(0, num)]

    def reduced(self, size: tuple[int, int]) -> Tensor:
        """Return the images averaged down to ``size`` (h, w), rounded to integers."""
        if size not in self._reduced:
            small = F.interpolate(self.img, size, mode='area')
            self._reduced[size] = small.round()
        return self._reduced[size]

    def kernel(
        self, terms: tuple[PairwiseTerm, ...], size: tuple[int, int], chunk: slice
    ) -> PairwiseKernel:
        """Return the kernel of ``terms`` on images of ``chunk`` at ``size`` (h, w)."""
        key = (terms, size, chunk.start, chunk.stop)
        if key not in self._kernels:
            self._kernels[key] = self._build_kernel(terms, size, chunk)
        return self._kernels[key]

    def _build_kernel(
        self, terms: tuple[PairwiseTerm, ...], size: tuple[int, int], chunk: slice
    ) -> PairwiseKernel:
        filters = [
            self._lattice(term.sxy, term.srgb, size, chunk).normalized(term.compat)
            for term in terms
            if term.compat > 0
        ]
        if not filters:
            return PairwiseKernel(torch.zeros_like, 0.0)
        stacked = stack_filters(filters)
        bound = stacked.row_sums().max()
        on_cpu = bound.device.type == 'cpu'
        return PairwiseKernel(stacked, bound.item() if on_cpu else bound)

    def _lattice(
        self, sxy: float, srgb: float | None, size: tuple[int, int], chunk: slice
    ) -> LatticeFilter:
        num = chunk.stop - chunk.start
        if srgb is None:
            return _position_lattice(size, sxy, num, self.img.device)
        key = (sxy, srgb, size, chunk.start, chunk.stop)
        if key not in self._lattices:
            img = self.reduced(size)[chunk]
            xy = _positions(size, num, img.device) / sxy
            rgb = img.transpose(0, 1).flatten(1) / srgb
            self._lattices[key] = build_lattice(torch.cat([xy, rgb]), num)
        return self._lattices[key]


def check_colors(low: float, high: float) -> None:
    """Raise a ValueError if the smallest or largest color is outside 0..255."""
    # Denormalizing an image may exceed the range by a rounding error.
    if not (low >= -1 and high <= 256):
        raise ValueError(
            f'img: expected RGB values in 0..255, found {low:g} to {high:g}'
        )


def _positions(size: tuple[int, int], num: int, device: torch.device) -> Tensor:
    """Return column and row of every pixel of ``num`` images: (2, num * h * w)."""
    y, x = torch.meshgrid(
        *(torch.arange(s, device=device, dtype=torch.float32) for s in size),
        indexing='ij',
    )
    return torch.stack([x.flatten(), y.flatten()]).repeat(1, num)


@lru_cache(maxsize=4)
def _position_lattice(
    size: tuple[int, int], sxy: float, num: int, device: torch.device
) -> LatticeFilter:
    """Build the lattice of positions, which all images of a size share."""
    return build_lattice(_positions(size, num, device) / sxy, num)
