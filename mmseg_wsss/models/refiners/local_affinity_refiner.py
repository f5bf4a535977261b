"""Local refinement of maps by the colors of the image: PAR and VARM."""

import functools
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import resize
from .local_affinity_ops import (
    affinity_weights_,
    clamped_index,
    frame,
    last_row_masks,
    neighbor_offsets,
    neighbor_sum,
    pad_replicate,
    position_terms,
    reframe_,
    unframed,
    variation_terms,
)

Backend = Literal['auto', 'eager', 'compile', 'triton']
_BACKENDS = get_args(Backend)

# bandwidth, weight of the position term, weight of the variation term
_DEFAULTS = {'par': (0.3, 0.01, 0.0), 'varm': (0.25, 0.0, 0.01)}
# With fewer mask values, a run never makes up for the seconds that compiling takes.
_COMPILE_FROM = 2**20
# Pixels for which weights are computed at a time on a CPU. The 48 temporary maps of
# such a band fit in the cache; those of a whole image would not.
_BAND = 2**14
_NAMES = {'compile': 'torch.compile', 'triton': 'its Triton kernels'}
_failed_devices: set[str] = set()


@MODELS.register_module()
class LocalAffinityRefiner:
    """Local propagation of maps along similar colors of the image: PAR and VARM.

    With the neighbors ``p+k`` in 8 directions at every dilation, clamped to the image,
    and ``std_c(p)`` the unbiased standard deviation of color ``c`` over them::

        a(p,k) = softmax_k(-mean_c((|I_c(p+k) - I_c(p)| / (std_c(p) + 1e-8) / w1) ** 2))
        W(p,k) = a(p,k) + pos_weight * position(k) - var_weight * softmax_k(v(p,k))
        M_{i+1}(c,p) = sum_k W(p,k) * M_i(c,p+k),    i = 0 .. num_iters - 1

    where ``position`` is the softmax of minus the squared standardized distance and
    ``v`` the squared forward differences of the image at ``p+k``. The weights are
    computed once for all maps of an image: stack thresholds and classes on the channel
    axis. No gradient is propagated, and autocast has no effect.

    Sources: PAR, the pixel-adaptive refinement of Ru et al., "Learning Affinity from
    Attention" (AFA), https://arxiv.org/abs/2203.02664; VARM, the variation-aware
    refinement of Xu et al., "Self Correspondence Distillation for End-to-End
    Weakly-Supervised Semantic Segmentation" (TSCD), https://arxiv.org/abs/2302.13765,
    as its released code computes it.

    Args:
        kind: ``'par'`` or ``'varm'``: sets the defaults of ``bandwidth``,
            ``pos_weight`` and ``var_weight``.
        dilations: Distances of the neighbors in pixels, along rows and columns, at
            least 1.
        num_iters: Number of propagation steps; 0 only resizes.
        bandwidth: ``w1``, above 0; 0.3 (PAR) or 0.25 (VARM).
        pos_weight: Weight of the position term; 0.01 (PAR) or 0 (VARM).
        var_weight: Weight of the variation term; 0 (PAR) or 0.01 (VARM).
        backend: ``'eager'``, ``'compile'`` (raises an error if it cannot compile),
            ``'triton'`` (CUDA kernels for float32, weights in half precision; not
            measured on a GPU), or ``'auto'``: the kernels on CUDA if Triton is
            installed; else compiled if a compiler is found and a call has at least
            2**20 mask values, else eager. The choice depends on shapes and device
            alone, so that runs are reproducible. If it fails, ``'auto'`` warns once and
            stays eager. The first image size and number of maps take about 20 s to
            compile on a CPU core; a second size compiles once more, for all later
            sizes. On a CPU, maps that are zero everywhere (absent classes) cost
            nothing.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> refiner = LocalAffinityRefiner('varm', dilations=(1, 2), num_iters=3)
        >>> img, cam = torch.rand(2, 3, 16, 16), torch.rand(2, 5, 8, 8)
        >>> refiner(img, cam).shape
        torch.Size([2, 5, 16, 16])
    """

    def __init__(
        self,
        kind: Literal['par', 'varm'] = 'par',
        dilations: Sequence[int] = (1, 2, 4, 8, 12, 24),
        num_iters: int = 10,
        bandwidth: float | None = None,
        pos_weight: float | None = None,
        var_weight: float | None = None,
        backend: Backend = 'auto',
    ) -> None:
        if kind not in _DEFAULTS:
            raise ValueError(f"kind must be 'par' or 'varm', got {kind!r}")
        if backend not in _BACKENDS:
            raise ValueError(f'backend must be one of {_BACKENDS}, got {backend!r}')
        if not dilations or min(dilations) < 1:
            raise ValueError(f'dilations must be positive integers, got {dilations!r}')
        if num_iters < 0:
            raise ValueError(f'num_iters must be at least 0, got {num_iters}')
        default_bandwidth, default_pos, default_var = _DEFAULTS[kind]
        self.kind = kind
        self.num_iters = num_iters
        self.bandwidth = default_bandwidth if bandwidth is None else bandwidth
        if self.bandwidth <= 0:
            raise ValueError(f'bandwidth must be above 0, got {bandwidth}')
        self.pos_weight = default_pos if pos_weight is None else pos_weight
        self.var_weight = default_var if var_weight is None else var_weight
        self.backend = backend
        self.offsets = neighbor_offsets(dilations)
        self.reach = max(dilations)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(kind={self.kind!r}, '
            f'neighbors={len(self.offsets)}, num_iters={self.num_iters}, '
            f'bandwidth={self.bandwidth}, pos_weight={self.pos_weight}, '
            f'var_weight={self.var_weight}, backend={self.backend!r})'
        )

    @torch.no_grad()
    def __call__(
        self, img: Tensor, mask: Tensor, sizes: Tensor | None = None
    ) -> Tensor:
        """Refine ``mask`` by the colors of ``img``.

        Args:
            img: RGB images of shape (N, 3, H, W), floating, in [0, 1].
            mask: Maps of shape (N, C, h, w), floating; resized to (H, W) first
                (bilinear, ``align_corners=True``).
            sizes: Height and width of each image (N, 2), integers from 1 to H and W,
                on the device of ``img``; H and W by default. An image fills the upper
                left of ``img``, and neighbors are clamped to it. ``mask`` must have the
                size of ``img``, and the result is undefined outside the images.

        Returns:
            Maps of shape (N, C, H, W), float32, or float64 if an input is. Entries
            of VARM may lie slightly below the smallest mask value.

        Raises:
            ValueError: If shapes or devices do not match.
            TypeError: If an input is not floating, or not float32 for ``'triton'``.
        """
        _check(img, mask, sizes)
        double = torch.float64 in (img.dtype, mask.dtype)
        dtype = torch.float64 if double else torch.float32
        img, mask = img.to(dtype), mask.to(dtype)
        if mask.numel() == 0:
            return mask.new_zeros(*mask.shape[:2], *img.shape[-2:])
        with torch.autocast(img.device.type, enabled=False):
            mask = resize(mask, img.shape[-2:], align_corners=True)
            way = self._way(mask)
            if self.backend != 'auto' or way == 'eager':
                return self._propagate(img, mask, sizes, way)
            try:
                return self._propagate(img, mask, sizes, way)
            except torch.cuda.OutOfMemoryError:
                raise
            except Exception as error:
                _failed_devices.add(mask.device.type)
                warnings.warn(
                    f'LocalAffinityRefiner goes on without {_NAMES[way]}, which failed '
                    f'on {mask.device.type}: {error}',
                    RuntimeWarning,
                    stacklevel=2,
                )
                return self._propagate(img, mask, sizes, 'eager')

    def _propagate(
        self, img: Tensor, mask: Tensor, sizes: Tensor | None, way: str
    ) -> Tensor:
        if self.num_iters == 0:
            return mask.clone()
        if way == 'triton':
            return self._launch(img, mask, sizes)
        fill, sum_of = affinity_weights_, neighbor_sum
        if way == 'compile':
            fill, sum_of = _compiled(fill), _compiled(sum_of)
        if img.device.type != 'cpu':
            return self._iterate(img, mask, fill, sum_of, sizes)
        # One image at a time, so that its weights stay in the cache. A map of zeros
        # stays zero, so only the others are propagated.
        refined = torch.zeros_like(mask)
        ends = sizes.tolist() if sizes is not None else [img.shape[2:]] * len(img)
        for i, (height, width) in enumerate(ends):
            colors, maps, out = (
                x[i : i + 1, :, :height, :width] for x in (img, mask, refined)
            )
            live = maps[0].flatten(1).any(1)
            if live.any():
                out[:, live] = self._iterate(colors, maps[:, live], fill, sum_of)
        return refined

    def _launch(self, img: Tensor, mask: Tensor, sizes: Tensor | None) -> Tensor:
        # Only where Triton is installed.
        from .local_affinity_triton import affinity_weights, propagate

        if sizes is None:
            sizes = img.new_empty(len(img), 2, dtype=torch.int32)
            sizes[:, 0], sizes[:, 1] = img.shape[2:]  # no copy from the host
        sizes = sizes.int().contiguous()
        terms = self.bandwidth, self.pos_weight, self.var_weight
        weights = affinity_weights(img, sizes, self.offsets, *terms)
        return propagate(mask, weights, sizes, self.offsets, self.num_iters)

    def _iterate(
        self,
        img: Tensor,
        mask: Tensor,
        fill: Callable[..., None],
        sum_of: Callable[..., Tensor],
        sizes: Tensor | None = None,
    ) -> Tensor:
        index = None
        if sizes is not None:
            index = clamped_index(sizes, img.shape[2:], self.reach)
        weights = self._weights(img, fill, sizes, index)
        state = frame(mask, self.reach, index)
        for _ in range(self.num_iters):
            maps = sum_of(state, weights, self.offsets)
            reframe_(state, maps, self.reach, index)
        return unframed(state, self.reach)

    def _weights(
        self,
        img: Tensor,
        fill: Callable[..., None],
        sizes: Tensor | None,
        index: Tensor | None,
    ) -> Tensor:
        position = variation = None
        if self.pos_weight:
            position = position_terms(
                self.offsets, self.pos_weight, img.device, img.dtype
            )[:, None, None]
        # Tensors, not numbers: compiled code then serves every value.
        bandwidth = img.new_full((), self.bandwidth)
        padded = pad_replicate(img, self.reach, index)
        if self.var_weight:
            var_weight = img.new_full((), self.var_weight)
            terms = variation_terms(padded)
            inner_rows, inner_columns = last_row_masks(img, sizes)
        weights = img.new_empty(len(img), len(self.offsets), *img.shape[2:])
        height = img.shape[2]
        rows = height
        if img.device.type == 'cpu':
            rows = min(height, max(1, _BAND // img.shape[3]))
        for end in range(rows, height + rows, rows):
            end = min(end, height)  # the last band overlaps: one shape is compiled
            band, wide = slice(end - rows, end), slice(end - rows, end + 2 * self.reach)
            if self.var_weight:
                variation = (
                    var_weight,
                    terms[:, :, wide],
                    inner_rows[..., band, :],
                    inner_columns,
                )
            fill(
                weights[:, :, band],
                padded[:, :, wide],
                img[:, :, band],
                self.offsets,
                bandwidth,
                position,
                variation,
            )
        return weights

    def _way(self, mask: Tensor) -> str:
        if self.backend == 'triton' and mask.dtype != torch.float32:
            raise TypeError(f"backend 'triton' needs float32, got {mask.dtype}")
        if self.backend != 'auto':
            return self.backend
        device = mask.device.type
        if device in _failed_devices:
            return 'eager'
        if device == 'cuda' and mask.dtype == torch.float32 and _has_triton():
            return 'triton'
        if mask.numel() >= _COMPILE_FROM and _has_compiler(device):
            return 'compile'
        return 'eager'


def _check(img: Tensor, mask: Tensor, sizes: Tensor | None) -> None:
    if img.ndim != 4 or mask.ndim != 4 or img.shape[0] != mask.shape[0]:
        raise ValueError(
            'img must be (N, 3, H, W) and mask (N, C, h, w) with one N, '
            f'got {tuple(img.shape)} and {tuple(mask.shape)}'
        )
    if not (img.is_floating_point() and mask.is_floating_point()):
        raise TypeError(
            'img (in [0, 1]) and mask must be floating, '
            f'got {img.dtype} and {mask.dtype}'
        )
    if 0 in img.shape or 0 in mask.shape[2:]:
        raise ValueError(
            'img and mask must not be empty, '
            f'got {tuple(img.shape)} and {tuple(mask.shape)}'
        )
    if img.device != mask.device:
        raise ValueError(
            f'img and mask must be on one device, got {img.device} and {mask.device}'
        )
    if sizes is not None and (
        sizes.shape != (len(img), 2) or mask.shape[2:] != img.shape[2:]
    ):
        raise ValueError(
            f'sizes must be ({len(img)}, 2) for maps of the size of img, got '
            f'{tuple(sizes.shape)}, {tuple(mask.shape)} and {tuple(img.shape)}'
        )


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function, once for all refiners."""
    return torch.compile(function)


@functools.cache
def _has_compiler(device: str) -> bool:
    """Return whether torch.compile finds its compilers for ``device``."""
    default = 'clang++' if sys.platform == 'darwin' else 'g++'
    found = shutil.which(os.environ.get('CXX', default)) is not None
    if device == 'cuda':
        return found and _has_triton()
    return found and device == 'cpu'


def _has_triton() -> bool:
    return importlib.util.find_spec('triton') is not None
