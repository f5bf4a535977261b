"""Fully connected CRF with Gaussian edge potentials.

Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with
Gaussian Edge Potentials", NIPS 2011, https://arxiv.org/abs/1210.5644.
"""

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from mmseg_wsss.registry import MODELS

from ..utils import resize
from .crf_guide import CRFGuide, PairwiseKernel, PairwiseTerm, check_colors
from .image_threads import for_each_image
from .pydensecrf_backend import PyDenseCRFPool

BACKENDS = ('auto', 'torch', 'pydensecrf')

# Larger messages could overflow exp() unless the maximum is subtracted first.
SAFE_EXPONENT = 60.0

# A label with exp(-40) times the best label's score cannot win after any messages.
NO_CHANCE = -40.0


def mean_field(
    score: Tensor,
    kernel: Callable[[Tensor], Tensor],
    num_iters: int,
    bound: float | Tensor = math.inf,
) -> Tensor:
    """Run parallel mean-field updates with Potts compatibility (paper, Algorithm 1).

    ``Q = softmax(score)``, then ``num_iters`` times ``Q = softmax(score + K Q)``.

    Args:
        score: Negative unary energies (n, G, C) of ``G`` independent problems over the
            same ``n`` pixels, float32, 0 for the best label of a pixel; ``-inf`` for
            labels that are left out.
        kernel: Linear map ``K`` over the pixels, applied to (n, G * C).
        num_iters: Number of updates.
        bound: Upper bound of the entries of ``K Q``, which are at least 0; only used on
            a CPU.

    Returns:
        Marginals (n, G, C); NaN if every label is left out.

    Example:
        >>> score = torch.tensor([[[0.0, -1.0]]])
        >>> mean_field(score, torch.zeros_like, num_iters=3)  # no messages: a softmax
        tensor([[[0.7311, 0.2689]]])
    """
    prob = score.exp()
    prob /= prob.sum(2, keepdim=True)
    for _ in range(num_iters):
        prob = kernel(prob.flatten(1)).view_as(score)
        prob += score
        if prob.device.type != 'cpu':
            prob = prob.softmax(2)  # one kernel
            continue
        # Messages only add to scores of at most 0, so exp() is safe below the bound,
        # which saves the pass over the labels that a stable softmax needs.
        if bound > SAFE_EXPONENT:
            prob -= prob.amax(2, keepdim=True)
        prob.exp_()
        prob /= prob.sum(2, keepdim=True)
    return prob


@MODELS.register_module()
class DenseCRF:
    """Mean-field inference that refines score maps along the edges of an image.

    Unary energies are ``-log(prob)``, used as they are: the scores of a pixel need not
    sum to 1. The pairwise energy is a Potts model under two Gaussian kernels, positions
    alone (``gauss_*``) and positions with colors (``bilateral_*``), each normalized
    symmetrically (``D^-1/2 K D^-1/2``). The defaults are RRM's
    (https://arxiv.org/abs/1911.08039); ASDT infers with ``bilateral_sxy=83,
    bilateral_srgb=5, bilateral_compat=4``. Source: Kraehenbuehl and Koltun, "Efficient
    Inference in Fully Connected CRFs with Gaussian Edge Potentials",
    https://arxiv.org/abs/1210.5644.

    The ``torch`` backend filters on a permutohedral lattice that is built once per
    image, by tensor operations alone, on CPU and GPU; on the CPU the images of a batch
    run in parallel on torch's threads. The ``pydensecrf`` backend runs the C++ original
    (CPU; extra ``crf``); both agree up to rounding. The CRF has no parameters and
    propagates no gradient; results are float32.

    Args:
        gauss_sxy: Standard deviation of the positional kernel in pixels.
        gauss_compat: Weight of the positional kernel, at least 0.
        bilateral_sxy: Standard deviation of positions in the bilateral kernel.
        bilateral_srgb: Standard deviation of colors (0..255) in the bilateral kernel.
        bilateral_compat: Weight of the bilateral kernel, at least 0.
        num_iters: Number of mean-field updates, at least 0.
        backend: ``'torch'``, ``'pydensecrf'`` or ``'auto'`` (same as ``'torch'``).
        num_workers: Number of processes of the ``pydensecrf`` backend; 0 runs in the
            calling process.
        scale_factor: In (0, 1]. Below 1, the CRF runs on an image of reduced height and
            width (with ``sxy`` reduced by the same factor) and the marginals are
            resized back bilinearly: about ``scale_factor^2`` of the time, for coarser
            edges.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is outside its range; the message names it.
        ImportError: If ``backend='pydensecrf'`` and the package is not installed.

    Example:
        >>> crf = DenseCRF(num_iters=5)
        >>> img = torch.randint(0, 256, (2, 3, 16, 16)).float()
        >>> prob = torch.rand(2, 4, 16, 16).softmax(1)
        >>> crf(img, prob).sum(1).allclose(torch.ones(2, 16, 16))
        True
        >>> guide = crf.prepare(img)  # several problems over one set of lattices
        >>> low, high = crf(guide, torch.stack([prob, prob.sqrt()], 1)).unbind(1)
        >>> low.shape
        torch.Size([2, 4, 16, 16])
    """

    def __init__(
        self,
        gauss_sxy: float = 3.0,
        gauss_compat: float = 3.0,
        bilateral_sxy: float = 80.0,
        bilateral_srgb: float = 13.0,
        bilateral_compat: float = 10.0,
        num_iters: int = 10,
        backend: str = 'auto',
        num_workers: int = 0,
        scale_factor: float = 1.0,
    ) -> None:
        _check_settings(
            dict(
                gauss_sxy=gauss_sxy,
                bilateral_sxy=bilateral_sxy,
                bilateral_srgb=bilateral_srgb,
            ),
            dict(gauss_compat=gauss_compat, bilateral_compat=bilateral_compat),
            dict(num_iters=num_iters, num_workers=num_workers),
        )
        if backend not in BACKENDS:
            raise ValueError(f'backend: expected one of {BACKENDS}, found {backend!r}')
        if not 0 < scale_factor <= 1:
            raise ValueError(
                f'scale_factor: expected a number in (0, 1], found {scale_factor!r}'
            )
        self.terms = (
            PairwiseTerm(gauss_sxy * scale_factor, None, gauss_compat),
            PairwiseTerm(
                bilateral_sxy * scale_factor, bilateral_srgb, bilateral_compat
            ),
        )
        self.num_iters = num_iters
        self.scale_factor = scale_factor
        self.pool = PyDenseCRFPool(num_workers) if backend == 'pydensecrf' else None

    def prepare(self, img: Tensor) -> CRFGuide:
        """Wrap images (N, 3, H, W), RGB in 0..255, for several calls, of any CRF."""
        return CRFGuide(img)

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(
        self,
        img: Tensor | CRFGuide,
        prob: Tensor,
        class_mask: Tensor | None = None,
    ) -> Tensor:
        """Infer the marginals of every label.

        Args:
            img: RGB images (N, 3, H, W) in 0..255, rounded to whole values, or the
                guide that :meth:`prepare` returns.
            prob: Scores (N, C, H, W), or (N, G, C, H, W) for ``G`` independent problems
                per image, which share every filter pass; values at or below 0 count as
                the smallest positive float.
            class_mask: Mask (N, C) bool of the labels that exist in an image. The
                others get 0 and cost no time.

        Returns:
            Mean-field marginals of the shape of ``prob``, float32, summing to 1 over
            the existing labels (0 everywhere if an image has none).

        Raises:
            ValueError: If shapes or devices do not match, or values are out of range or
                not finite; the message names them.
        """
        guide = img if isinstance(img, CRFGuide) else self.prepare(img)
        _check_shapes(guide, prob, class_mask)
        stacked = (prob if prob.dim() == 5 else prob[:, None]).float()
        if class_mask is None:
            class_mask = stacked.new_ones(
                stacked[:, 0, :, 0, 0].shape, dtype=torch.bool
            )
        class_mask = class_mask.to(prob.device, torch.bool)
        counts = _checked_counts(guide, prob, class_mask)
        out = self._infer(guide, stacked, class_mask, counts)
        if min(counts) == 0:
            out.masked_fill_(~class_mask[:, None, :, None, None], 0)
        return _resize(out, guide.size).reshape(prob.shape)

    def _infer(
        self, guide: CRFGuide, prob: Tensor, class_mask: Tensor, counts: list[int]
    ) -> Tensor:
        """Return marginals (N, G, C, h, w) at the reduced size."""
        height, width = guide.size
        size = (
            max(1, round(height * self.scale_factor)),
            max(1, round(width * self.scale_factor)),
        )
        prob = _resize(prob, size)
        if self.pool is not None:
            absent = ~class_mask[:, None, :, None, None]
            least = NO_CHANCE - sum(term.compat for term in self.terms)
            score = _scores(prob.clone(), absent, least)
            images = guide.reduced(size)
            return self.pool(images, score, class_mask, self.terms, self.num_iters)
        out = prob.new_zeros(prob.shape)

        def infer(chunk: slice) -> None:
            label, absent = _compact(class_mask[chunk], counts[chunk])
            if label.shape[1] > 0:
                kernel = guide.kernel(self.terms, size, chunk)
                _infer_chunk(
                    prob[chunk], out[chunk], label, absent, kernel, self.num_iters
                )

        if prob.device.type == 'cpu':
            for_each_image(infer, guide.chunks)
        else:
            infer(*guide.chunks)
        return out


def _infer_chunk(
    prob: Tensor,
    out: Tensor,
    label: Tensor,
    absent: Tensor | None,
    kernel: PairwiseKernel,
    num_iters: int,
) -> None:
    """Fill ``out`` (B, G, C, h, w) with the marginals of the ``label`` (B, K)."""
    num, groups, classes = prob.shape[:3]
    first = torch.arange(num * groups, device=prob.device).view(num, groups, 1)
    rows = (first * classes + label[:, None]).flatten()
    score = prob.flatten(3).flatten(0, 2).index_select(0, rows)
    score = score.view(num, groups, label.shape[1], -1)
    absent = None if absent is None else absent[:, None, :, None]
    score = _scores(score, absent, NO_CHANCE - kernel.bound)
    points = score.permute(0, 3, 1, 2).flatten(0, 1).contiguous()
    points = mean_field(points, kernel.filter, num_iters, kernel.bound)
    part = points.unflatten(0, (num, -1)).permute(0, 2, 3, 1).flatten(0, 2)
    out.view(num * groups * classes, -1).index_copy_(0, rows, part)


def _scores(prob: Tensor, absent: Tensor | None, least: float | Tensor) -> Tensor:
    """Compute negative unary energies of (N, G, C, ...) in place, 0 for the best label.

    Args:
        prob: Scores; 0 gets a finite energy.
        absent: Labels that get ``-inf``, broadcast against ``prob``; None if none do.
        least: Lower bound of the result. Without it, denormal numbers would make every
            filter many times slower.
    """
    score = prob.clamp_(min=torch.finfo(torch.float32).tiny).log_()
    if absent is None:
        return score.sub_(score.amax(2, keepdim=True)).clamp_(min=least)
    score = score.masked_fill_(absent, -math.inf)
    score = score.sub_(score.amax(2, keepdim=True)).clamp_(min=least)
    return score.masked_fill_(absent, -math.inf)


def _compact(class_mask: Tensor, counts: list[int]) -> tuple[Tensor, Tensor | None]:
    """List the existing labels of every image, padded to the largest number of them.

    Returns:
        Labels (N, K), and the mask (N, K) of the padding; None if there is none.
    """
    exists, label = class_mask.to(torch.uint8).sort(dim=1, descending=True, stable=True)
    most = max(counts)
    absent = exists[:, :most] == 0
    return label[:, :most], None if min(counts) == most else absent


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (N, G, C, H, W) bilinearly."""
    return resize(maps.flatten(0, 1), size).unflatten(0, maps.shape[:2])


def _check_settings(
    positive: dict[str, float], not_negative: dict[str, float], counts: dict[str, int]
) -> None:
    for name, value in (positive | not_negative | counts).items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f'{name}: expected a number, found {value!r}')
    for name, value in positive.items():
        if not 0 < value < math.inf:
            raise ValueError(f'{name}: expected a positive number, found {value!r}')
    for name, value in (not_negative | counts).items():
        if not 0 <= value < math.inf:
            raise ValueError(f'{name}: expected at least 0, found {value!r}')
    for name, value in counts.items():
        if value != int(value):
            raise ValueError(f'{name}: expected an integer, found {value!r}')


def _check_shapes(guide: CRFGuide, prob: Tensor, class_mask: Tensor | None) -> None:
    num, _, height, width = guide.img.shape
    fits = prob.dim() in (4, 5) and len(prob) == num and 0 not in prob.shape
    if not fits or tuple(prob.shape[-2:]) != (height, width):
        raise ValueError(
            f'prob: expected shape ({num}, C, {height}, {width}) or '
            f'({num}, G, C, {height}, {width}) as img, found {tuple(prob.shape)}'
        )
    if prob.device != guide.img.device:
        raise ValueError(
            f'prob: expected on {guide.img.device} as img, found on {prob.device}'
        )
    shape = (num, prob.shape[-3])
    if class_mask is not None and tuple(class_mask.shape) != shape:
        raise ValueError(
            f'class_mask: expected shape {shape}, found {tuple(class_mask.shape)}'
        )


def _checked_counts(guide: CRFGuide, prob: Tensor, class_mask: Tensor) -> list[int]:
    """Check colors and scores, and count the labels of each image, in one wait."""
    values = torch.stack([*guide.bounds, prob.sum(dtype=torch.float32)])
    low, high, total, *counts = torch.cat([values, class_mask.sum(1)]).tolist()
    check_colors(low, high)
    if not math.isfinite(total):
        raise ValueError('prob: expected finite scores, found NaN or infinity')
    return [int(count) for count in counts]
