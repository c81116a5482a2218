"""Weighted least squares by a few steps of conjugate gradients from where the factors stood.

A row's problem is that of `distrecvae.kernels.least_squares`, A x = b with A = Y^T W Y + lambda I. Solved exactly it
costs latent_dim^2 for each interaction; a step of conjugate gradients costs 2 latent_dim: the products of a row with
its own columns' factors, and their weighted sum. Alternating least squares needs no exact solution, since the other
side's factors move next; from where a row stood, few steps are about as good (Takacs, Pilaszy, Tikk, "Applications of
the conjugate gradient method for implicit feedback collaborative filtering", RecSys 2011).

Two steps are enough because they are preconditioned. Rows are sorted by length and cut into `BUCKETS` of as many rows.
A bucket's preconditioner is the matrix that a row of its mean length would have, were its columns drawn by how often
all rows have them; its inverse is made once a bucket. It changes how fast the steps arrive, never where.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import torch

from distrecvae.errors import DivergedError
from distrecvae.kernels.least_squares import Side, Solution, group_bytes
from distrecvae.kernels.sparse import INT32_PLACES, SparseRows, gather_sum

STEPS = 2
"""Steps a row and sweep: on MovieLens-1M about as good as exact ones (benchmarks/results/2026-11-26-wmf-speed)."""
BUCKETS = 16
"""Kinds of rows, by their lengths, that have a preconditioner each."""
BLOCK_PLACES = 1 << 20
"""Interactions of the rows that are worked on at a time, which bound what is kept of each; one row always fits."""
PLACE_BYTES = 64
"""What is kept an interaction of a block at most: its row, products, weights, and copies of the columns."""


class _Common(NamedTuple):
    """What the rows of a side share: the columns' factors and weights, and the matrices made of them.

    Attributes:
        other: (n_columns, latent_dim).
        zeros: (n_columns,), the columns' part of a zero's weight.
        gram: weighted Gram matrix of all columns.
        seen: mean of y y^T over all interactions.
    """

    other: torch.Tensor
    zeros: torch.Tensor
    gram: torch.Tensor
    seen: torch.Tensor


def improve_rows(
    side: Side, other: torch.Tensor, start: torch.Tensor, regularization: float, *, steps: int = STEPS
) -> Solution:
    """Return factors of a lower loss than `start`, given the columns' factors: the minimum after many steps.

    Args:
        side: the rows' problems.
        other: (n_columns, latent_dim), the columns' factors, of the dtype of the arithmetic.
        start: (n_rows, latent_dim), of the same dtype; not changed.
        regularization: lambda.
        steps: of conjugate gradients, at least 1.

    Returns:
        The factors, and what they explain, so that the rows' loss, regularization included, is
        one * n_interactions minus it, at these factors as at the solution.

    Raises:
        DivergedError: a matrix is not positive definite in this dtype.
    """
    factors = torch.zeros_like(start)
    explained = torch.zeros((), dtype=torch.float64, device=other.device)
    failed = torch.zeros((), dtype=torch.bool, device=other.device)
    common = _in_common(side, other)
    for first, last in _blocks(side.rows):
        block = Side(
            side.rows.slice(first, last), side.one, side.row_zeros[first:last].to(other.dtype), common.zeros
        )
        solution, wrong = _improved(block, common, start[first:last], regularization, steps)
        factors[first:last] = solution.factors
        explained += solution.explained
        failed |= wrong
    if bool(failed) or not bool(torch.isfinite(explained)):
        raise DivergedError(
            f"least squares cannot be solved with regularization {regularization} in {other.dtype};"
            " raise regularization"
        )
    return Solution(factors, explained)


def dots(rows: SparseRows, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the product of its row of `left` and its column's row of `right` for each interaction: (n_places,).

    Args:
        rows: the interactions, without padding.
        left: (n_rows, width).
        right: (n_items, width), of the same dtype.
    """
    if type(left) is not torch.Tensor or left.device.type != "cpu":
        # Both factors of a place and their product are there at once, beside what else a group is counted for.
        size = max(1, group_bytes(left.device.type) // max(1, 4 * left.shape[1] * left.itemsize))
        parts = zip(torch.split(rows.row_of, size), torch.split(rows.items, size), strict=True)
        return torch.cat([(left[some] * right[items.long()]).sum(dim=1) for some, items in parts])
    index = torch.int32 if rows.items.numel() <= INT32_PLACES else torch.int64
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        places = torch.sparse_csr_tensor(
            rows.offsets.to(index),
            rows.items.to(index),
            left.new_zeros(rows.items.numel()),
            (rows.n_rows, rows.n_items),
            check_invariants=False,
        )
        found: torch.Tensor = torch.sparse.sampled_addmm(places, left, right.T, beta=0.0).values()
    return found


def block_bytes(longest: int) -> int:
    """Return what is kept of the interactions of a block at most, `longest` being the longest row: bytes."""
    return PLACE_BYTES * max(BLOCK_PLACES, longest)


def _in_common(side: Side, other: torch.Tensor) -> _Common:
    zeros = side.column_zeros.to(other.dtype)
    n_interactions = max(1, side.rows.items.numel())
    often = torch.bincount(side.rows.items, minlength=side.rows.n_items).to(other.dtype) / n_interactions
    return _Common(other, zeros, (other * zeros[:, None]).T @ other, (other * often[:, None]).T @ other)


def _blocks(rows: SparseRows) -> Iterator[tuple[int, int]]:
    """Yield the first row, and the one after the last, of blocks of at most `BLOCK_PLACES` interactions or one row."""
    offsets = rows.offsets.cpu()
    first = 0
    while first < rows.n_rows:
        most = offsets[first] + BLOCK_PLACES
        last = max(first + 1, int(torch.searchsorted(offsets, most, right=True)) - 1)
        yield first, min(last, rows.n_rows)
        first = last


def _improved(
    side: Side, common: _Common, start: torch.Tensor, regularization: float, steps: int
) -> tuple[Solution, torch.Tensor]:
    """Return the factors of a block's rows, and whether a preconditioner could not be made."""
    rows, other, row_zeros = side.rows, common.other, side.row_zeros[:, None]
    # What an interaction counts beyond a zero.
    extra = side.one - side.row_zeros[rows.row_of] * common.zeros[rows.items]
    precondition = _Preconditioner(side, common, regularization)

    def product(x: torch.Tensor) -> torch.Tensor:
        """A x of each row."""
        dense = torch.addcmul(regularization * x, row_zeros, x @ common.gram)
        return dense + gather_sum(rows, extra * dots(rows, x, other), other)

    right = side.one * gather_sum(rows, rows.ones(other.dtype), other)
    x = start.clone()
    residual = right - product(x)
    direction = precondition(residual)
    size = (residual * direction).sum(dim=1)
    least = torch.finfo(other.dtype).tiny  # a row that is solved has no residual, and takes no step
    for step in range(steps):
        image = product(direction)
        length = (size / (direction * image).sum(dim=1).clamp_(min=least))[:, None]
        x.addcmul_(length, direction)
        residual.addcmul_(length, image, value=-1)
        if step + 1 < steps:
            better = precondition(residual)
            before, size = size, (residual * better).sum(dim=1)
            direction = torch.addcmul(better, (size / before.clamp(min=least))[:, None], direction)
    explained = ((right + residual) * x).sum(dtype=torch.float64)
    return Solution(x, explained), precondition.failed


class _Preconditioner:
    """The inverse of a matrix like each row's own.

    Attributes:
        failed: whether a matrix was not positive definite; bool, ().
    """

    def __init__(self, side: Side, common: _Common, regularization: float) -> None:
        n_rows = side.rows.n_rows
        self._size = -(-n_rows // BUCKETS)  # rows of a bucket; the last one's are filled up
        counts, self._order = side.rows.counts.sort(stable=True)
        lengths = self._bucketed(counts.to(common.gram.dtype)).mean(dim=1)
        zeros = self._bucketed(side.row_zeros[self._order]).mean(dim=1)
        matrices = zeros[:, None, None] * common.gram + (side.one * lengths)[:, None, None] * common.seen
        matrices.diagonal(dim1=1, dim2=2).add_(regularization)
        triangles, info = torch.linalg.cholesky_ex(matrices)
        self.failed = (info != 0).any()
        # `cholesky_inverse` would raise an error of its own where one could not be made.
        self._inverses = torch.cholesky_solve(torch.eye(matrices.shape[1]).to(matrices), triangles)

    def __call__(self, residual: torch.Tensor) -> torch.Tensor:
        """Return each row's inverse times its residual: (n_rows, latent_dim)."""
        latent_dim = residual.shape[1]
        sorted_rows = self._bucketed(residual[self._order])
        found = torch.bmm(sorted_rows, self._inverses).reshape(-1, latent_dim)[: residual.shape[0]]
        back = torch.empty_like(residual)
        back[self._order] = found
        return back

    def _bucketed(self, sorted_rows: torch.Tensor) -> torch.Tensor:
        """Return sorted rows as (n_buckets, rows of a bucket, ...); the last bucket is filled with its last row."""
        n_buckets = -(-sorted_rows.shape[0] // self._size)
        missing = n_buckets * self._size - sorted_rows.shape[0]
        filled = torch.cat([sorted_rows, sorted_rows[-1:].expand(missing, *sorted_rows.shape[1:])])
        return filled.reshape(n_buckets, self._size, *sorted_rows.shape[1:])
