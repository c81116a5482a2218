"""Inverts a large symmetric positive definite matrix in place, block by block, and reports its progress.

LAPACK's own routines are as fast, but say nothing for minutes, and PyTorch's give the inverse in a second matrix. Here
the matrix becomes its Cholesky factor L, that L^-1, and that L^-T L^-1, each by a third of n^3 multiplications and
additions: nothing else of the matrix's size is made.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from distrecvae.activity import FACTORIZING, INVERTING, at

BLOCK = 256
"""Rows of a block: small beside the matrix, and large enough for its products to be as fast as whole ones."""


def invert_(matrix: torch.Tensor, progress: Callable[[float], None] | None = None) -> bool:
    """Turn a symmetric positive definite matrix into its inverse; return whether it is one.

    Args:
        matrix: (n, n), on the CPU; only its lower triangle is read. Where it has no inverse its content is lost.
        progress: called after each block, from this thread, with the share of the work that is done.
    """
    n = matrix.shape[0]
    starts = range(0, n, BLOCK)
    work, done = 3.0 * max(1, sum(_cost(n, start) for start in starts)), 0.0

    def tell(cost: float) -> None:
        nonlocal done
        done += cost
        if progress is not None:
            progress(min(1.0, done / work))

    with at(FACTORIZING):
        for start in starts:
            if not _factor(matrix, start):
                return False
            tell(_cost(n, start))
    with at(INVERTING):
        for start in reversed(starts):
            _invert_factor(matrix, start)
            tell(_cost(n, start))
        for start in starts:
            _multiply(matrix, start)
            tell(_cost(n, start))
    return True


def _cost(n: int, start: int) -> float:
    """Return the work of a block's turn, in any unit: products of what is left of it and what is below it."""
    stop = min(start + BLOCK, n)
    return float((stop - start) * (n - start) * stop)


def _factor(matrix: torch.Tensor, start: int) -> bool:
    """Make a block column of L, those before it being made."""
    stop = min(start + BLOCK, matrix.shape[0])
    column = matrix[start:, start:stop]
    column.addmm_(matrix[start:, :start], matrix[start:stop, :start].T, alpha=-1)
    triangle, info = torch.linalg.cholesky_ex(column[: stop - start])
    if int(info):
        return False
    column[: stop - start] = triangle
    below = column[stop - start :]
    below.copy_(torch.linalg.solve_triangular(triangle.T, below, upper=True, left=False))
    return True


def _invert_factor(matrix: torch.Tensor, start: int) -> None:
    """Make a block column of L^-1, those after it being made."""
    stop = min(start + BLOCK, matrix.shape[0])
    identity = torch.eye(stop - start, dtype=matrix.dtype)
    inverse = torch.linalg.solve_triangular(matrix[start:stop, start:stop], identity, upper=False)
    matrix[start:stop, start:stop] = inverse
    below = matrix[stop:, start:stop] @ inverse
    # L^-1 below is a triangle: in as many strips, a block row needs no columns beyond its own.
    for first in range(stop, matrix.shape[0], BLOCK):
        last = min(first + BLOCK, matrix.shape[0])
        matrix[first:last, start:stop] = matrix[first:last, stop:last] @ below[: last - stop]
    matrix[stop:, start:stop].neg_()


def _multiply(matrix: torch.Tensor, start: int) -> None:
    """Make a block row of L^-T L^-1, and the block column that is its mirror; those before it are made."""
    stop = min(start + BLOCK, matrix.shape[0])
    own = matrix[start:, start:stop].clone()
    own[: stop - start].tril_()
    for first in range(0, stop, BLOCK):
        last = min(first + BLOCK, stop)
        other = own if first == start else matrix[start:, first:last]
        matrix[start:stop, first:last] = own.T @ other
    matrix[:start, start:stop] = matrix[start:stop, :start].T
