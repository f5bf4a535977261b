"""Gaussian filtering on the permutohedral lattice, in plain tensor operations.

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the
Permutohedral Lattice", Eurographics 2010,
https://doi.org/10.1111/j.1467-8659.2009.01645.x. Points with ``d``-dimensional features
are splatted onto the ``d + 1`` vertices of the lattice simplex that encloses them
(barycentric weights), the vertices are blurred along the ``d + 1`` lattice directions,
and the result is read back at the points with the same weights. Splat, blur and slice
are linear maps with few entries per row, so each is one weighted ``embedding_bag``: a
sparse matrix product that needs no compiled extension and runs on every device.

A simplex has one vertex of each remainder 0 to ``d`` modulo ``d + 1``. The vertex of
remainder 0 has multiples of ``d + 1`` as coordinates; the vertex of remainder ``r`` is
reached from it by adding ``r`` to the ``d + 1 - r`` coordinates of lowest rank and
``r - (d + 1)`` to the others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

# Longest row of the splat matrix that is summed in one piece, on a CPU and elsewhere.
# In an image of one color all pixels touch the same few vertices, and each would be
# summed by a single thread; the threads of a GPU are slow, but numerous.
MAX_ROW, GPU_MAX_ROW = 2048, 256


@dataclass(frozen=True)
class SparseMap:
    """Sparse matrix by rows: row ``r`` has the entries ``start[r]:start[r + 1]``.

    Attributes:
        column: Column of every entry (nnz,), int32.
        weight: Value of every entry (nnz,), float32.
        start: First entry of every row (rows,), int32.
    """

    column: Tensor
    weight: Tensor
    start: Tensor

    def __call__(self, values: Tensor) -> Tensor:
        """Multiply ``values`` (columns, C): (rows, C)."""
        return F.embedding_bag(
            self.column, values, self.start, mode='sum', per_sample_weights=self.weight
        )


@dataclass(frozen=True)
class LatticeFilter:
    """Linear filter splat, blur, slice over ``n`` points and ``M`` lattice vertices.

    Attributes:
        splat: (M, n) map of points onto vertices.
        blur: (M, M) maps, one per lattice direction, applied in this order.
        slice: (n, M) map back.
        long_rows: Whether a row of ``splat`` is too long to be summed in one piece.
    """

    splat: SparseMap
    blur: tuple[SparseMap, ...]
    slice: SparseMap
    long_rows: bool
    _parts: tuple[SparseMap, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = _in_pieces(self.splat) if self.long_rows else (self.splat,)
        object.__setattr__(self, '_parts', parts)

    @property
    def num_vertices(self) -> int:
        """Number ``M`` of lattice vertices in use."""
        return len(self.splat.start)

    def __call__(self, values: Tensor) -> Tensor:
        """Filter every column of ``values`` (n, C), float32: (n, C)."""
        for step in (*self._parts, *self.blur, self.slice):
            values = step(values)
        return values

    def row_sums(self) -> Tensor:
        """Compute the sum of every row of the filter: (n, 1)."""
        return self(self.splat.weight.new_ones(len(self.slice.start), 1))

    def normalized(self, weight: float) -> 'LatticeFilter':
        """Return ``weight * D^-1/2 @ self @ D^-1/2``, where D has the row sums."""
        norm = (self.row_sums().squeeze(1) + 1e-20).rsqrt()
        return self.scaled(norm, norm * weight)

    def scaled(self, before: Tensor, after: Tensor) -> 'LatticeFilter':
        """Return ``diag(after) @ self @ diag(before)``; both factors are (n,)."""
        splat, back = self.splat, self.slice
        width = len(back.column) // len(back.start)
        return LatticeFilter(
            SparseMap(
                splat.column,
                splat.weight * before.index_select(0, splat.column),
                splat.start,
            ),
            self.blur,
            SparseMap(
                back.column,
                (back.weight.view(-1, width) * after[:, None]).flatten(),
                back.start,
            ),
            self.long_rows,
        )


def build_lattice(features: Tensor, num_groups: int = 1) -> LatticeFilter:
    """Build the filter with weights of about ``exp(-|f_i - f_j|^2 / 2)`` over points.

    The scale of the lattice (``sqrt(2/3) (d + 1)``) is chosen so that one blur of
    weights (1/2, 1, 1/2) per direction has the variance of a unit Gaussian; the result
    is multiplied by ``1 / (1 + 2^-d)``, as in the released CRF of Kraehenbuehl and
    Koltun. Blurring only reaches vertices that some point touches. The host waits for
    the device once, for the number of vertices.

    Args:
        features: Feature vectors (d, n), float32, already divided by their standard
            deviations.
        num_groups: Number of equal parts of the points, one after the other, with no
            weights between them (the images of a batch).

    Raises:
        ValueError: If the features span so many cells that vertices cannot be numbered
            in 63 bits (a standard deviation far below the resolution of the data).

    Example:
        >>> lattice = build_lattice(torch.rand(2, 10))
        >>> lattice(torch.rand(10, 3)).shape
        torch.Size([10, 3])
    """
    dim, num_points = features.shape
    origin, rank, weight = _enclosing_simplex(features)
    key, steps, spans = _vertex_keys(origin, rank, num_groups)
    key = key.t().flatten()
    weight = weight.t().flatten()

    # Sorting the (point, vertex) entries by vertex gives the rows of the splat matrix;
    # in the order of the points they are the rows of the slice matrix.
    ordered, order = torch.sort(key, stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=first[1:])
    number = first.cumsum(0, dtype=torch.int32) - 1
    most = _max_row(key.device)
    long_rows = (ordered[most:] == ordered[:-most]).any()
    facts = torch.stack([*spans, number[-1] + 1, long_rows.long()]).tolist()
    _check_spans(facts[:dim], num_groups)
    own = torch.arange(facts[dim], device=key.device, dtype=torch.int32)
    start = torch.searchsorted(number, own, out_int32=True)
    vertex = torch.empty_like(number).scatter_(0, order, number)
    point = torch.div(order.int(), dim + 1, rounding_mode='trunc')
    return LatticeFilter(
        SparseMap(point, weight.index_select(0, order), start),
        tuple(_blur_map(ordered.index_select(0, start), step) for step in steps),
        SparseMap(
            vertex,
            weight / (1 + 2.0**-dim),
            torch.arange(num_points, device=key.device, dtype=torch.int32) * (dim + 1),
        ),
        bool(facts[-1]),
    )


def stack_filters(filters: Sequence[LatticeFilter]) -> LatticeFilter:
    """Return one filter that equals the sum of ``filters`` over the same points.

    Vertices of all filters are numbered one after the other: one pass of each kind
    (splat, blur, slice) then serves all of them, which saves launches.
    """
    sizes = [f.num_vertices for f in filters]
    shift = [sum(sizes[:i]) for i in range(len(sizes))]
    stages = max(len(f.blur) for f in filters)
    num_points = len(filters[0].slice.start)
    column = torch.cat(
        [f.slice.column.view(num_points, -1) + s for f, s in zip(filters, shift)], 1
    )
    weight = torch.cat([f.slice.weight.view(num_points, -1) for f in filters], 1)
    start = torch.arange(num_points, device=column.device, dtype=torch.int32)
    return LatticeFilter(
        _stack_rows([f.splat for f in filters], [0] * len(filters)),
        tuple(
            _stack_rows([_stage(f, k) for f in filters], shift) for k in range(stages)
        ),
        SparseMap(column.flatten(), weight.flatten(), start * column.shape[1]),
        any(f.long_rows for f in filters),
    )


def _enclosing_simplex(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the simplex around every point (Adams et al., section 4.1).

    Returns:
        Remainder-0 vertex (d + 1, n) in units of ``d + 1``, rank of the coordinates'
        residuals (d + 1, n) in [0, d], and barycentric weights (d + 1, n) of the
        vertices of remainder 0 to d.
    """
    dim, num_points = features.shape
    elevated = features.new_empty(dim + 1, num_points)
    total = features.new_zeros(num_points)
    # Rotate R^d onto the hyperplane of R^(d+1) with zero coordinate sum.
    for j in range(dim, 0, -1):
        unit = math.sqrt(2 / 3) * (dim + 1) / math.sqrt(j * (j + 1))
        coordinate = features[j - 1] * unit
        elevated[j] = total - j * coordinate
        total = total + coordinate
    elevated[0] = total
    elevated /= dim + 1

    # Round every coordinate, then rank the residuals: the rounded point is a vertex if
    # its coordinates sum to 0; otherwise the sum is the number of coordinates that must
    # step back.
    origin = torch.ceil(elevated - 0.5)
    residual = elevated - origin
    rank = origin.sum(0).expand(dim + 1, -1).clone()
    for i in range(dim):
        for j in range(i + 1, dim + 1):
            less = residual[i] < residual[j]
            rank[i] += less
            rank[j] += ~less
    # Rounding may leave the plane of zero sum; the extreme coordinates step back.
    wrap = (rank < 0).float() - (rank > dim).float()
    origin += wrap
    residual -= wrap
    rank = (rank + wrap * (dim + 1)).long()

    # The residual of rank r counts for remainder d - r and against d - r + 1.
    by_rank = torch.empty_like(residual).scatter_(0, rank, residual)
    weight = torch.empty_like(residual)
    weight[1:] = by_rank[:-1].flip(0) - by_rank[1:].flip(0)
    weight[0] = 1 - by_rank[0] + by_rank[-1]
    return origin, rank, weight


def _vertex_keys(
    origin: Tensor, rank: Tensor, num_groups: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Number vertices by their first ``d`` coordinates in a mixed radix, exactly.

    The published implementation hashes coordinates. Here neighbors along a direction
    differ by a constant, so that a binary search in the sorted keys finds them.

    Returns:
        Keys (d + 1, n), int64; for each of the ``d + 1`` directions the constant
        difference of the keys of neighbors; and the spans (d,) of the coordinates.
    """
    dim = len(origin) - 1
    low, high = ((bound[:dim] * (dim + 1)).long() for bound in origin.aminmax(dim=1))
    # A margin of two cells keeps neighbors beyond the border from aliasing.
    margin = 2 * (dim + 1)
    spans = high - low + (2 * margin + 1)
    sizes = torch.cat([spans.new_ones(1), spans.cumprod(0)])
    strides = sizes[:dim]
    groups = torch.arange(num_groups, device=origin.device) * sizes[dim]
    key = groups + ((margin - low) * strides).sum()
    key = key.repeat_interleave(origin.shape[1] // num_groups)
    for coordinate, stride in zip(origin, strides):
        key += (coordinate * (dim + 1)).long() * stride

    # From remainder r - 1 to r every coordinate grows by 1, except at rank
    # d + 1 - r, which falls by d.
    every = strides.sum()
    per_coordinate = torch.cat([strides, strides.new_zeros(1)]) * (dim + 1)
    fall = torch.empty_like(rank).scatter_(
        0, rank, per_coordinate[:, None].expand_as(rank)
    )
    keys = [key]
    for r in range(1, dim + 1):
        keys.append(keys[-1] + (every - fall[dim + 1 - r]))
    return torch.stack(keys), every - per_coordinate, spans


def _check_spans(spans: list[int], num_groups: int) -> None:
    if num_groups * math.prod(spans) >= 2**63:
        raise ValueError(
            'the lattice has too many cells: the features span '
            f'{spans} lattice units; use larger standard deviations'
        )


def _blur_map(keys: Tensor, step: Tensor) -> SparseMap:
    """Build the weights (1/2, 1, 1/2) of one direction; ``keys`` (M,) are sorted.

    A vertex without a neighbor has itself in its place, with weight 0.
    """
    size = len(keys)
    own = torch.arange(size, device=keys.device)
    target = keys + step
    forward = torch.searchsorted(keys, target).clamp_(max=size - 1)
    found = keys.index_select(0, forward) == target
    # Neighbors that are not found are written past the end.
    slot = forward.where(found, size)
    backward = torch.cat([own, own[:1]]).scatter_(0, slot, own)
    weight = torch.zeros(size + 1, device=keys.device)
    weight.scatter_(0, slot, 0.5)
    columns = [own, forward.where(found, own), backward[:size]]
    weights = [torch.ones_like(weight[:size]), found * 0.5, weight[:size]]
    return SparseMap(
        torch.stack(columns, 1).int().flatten(),
        torch.stack(weights, 1).flatten(),
        own.int() * 3,
    )


def _identity_map(size: int, device: torch.device) -> SparseMap:
    own = torch.arange(size, device=device, dtype=torch.int32)
    return SparseMap(own, torch.ones(size, device=device), own)


def _stage(lattice: LatticeFilter, index: int) -> SparseMap:
    """Return blur step ``index`` of a filter, the identity beyond its last."""
    if index < len(lattice.blur):
        return lattice.blur[index]
    return _identity_map(lattice.num_vertices, lattice.splat.weight.device)


def _stack_rows(maps: Sequence[SparseMap], shift: Sequence[int]) -> SparseMap:
    """Stack the rows of all maps, with ``shift[i]`` added to the columns of map i."""
    entries = [len(m.column) for m in maps]
    return SparseMap(
        torch.cat([m.column + s for m, s in zip(maps, shift)]),
        torch.cat([m.weight for m in maps]),
        torch.cat([m.start + sum(entries[:i]) for i, m in enumerate(maps)]),
    )


def _in_pieces(matrix: SparseMap) -> tuple[SparseMap, SparseMap]:
    """Return two factors of a matrix, the first with rows of limited length.

    Rows are cut where they begin, and at all multiples of the limit: the number of
    pieces follows from sizes that are known on the host.
    """
    start, device = matrix.start.long(), matrix.start.device
    most = _max_row(device)
    cut = torch.arange(0, len(matrix.column), most, device=device)
    # Both are sorted: the place of each among all, a row before a cut at its start.
    row_place = torch.arange(len(start), device=device) + (start + most - 1) // most
    cut_place = torch.arange(len(cut), device=device) + torch.searchsorted(
        start, cut, right=True
    )
    pieces = torch.cat([start, cut])
    pieces = pieces.scatter(0, torch.cat([row_place, cut_place]), pieces).int()
    own = torch.arange(len(pieces), device=device, dtype=torch.int32)
    merge = SparseMap(own, torch.ones_like(own, dtype=torch.float32), row_place.int())
    return SparseMap(matrix.column, matrix.weight, pieces), merge


def _max_row(device: torch.device) -> int:
    return MAX_ROW if device.type == 'cpu' else GPU_MAX_ROW
