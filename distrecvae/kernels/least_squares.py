"""Matrix factorization by weighted least squares: one side's factors given the other's, and the model.

Every cell of users x items counts, with a weight: `one` where there is an interaction (the target is 1), `zero_u` for
user u where there is none (the target is 0). With the others' factors Y, a row's factors are the solution of a ridge
problem (Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008):

    min over x   sum_i w_i (r_i - x . y_i)^2 + lambda ||x||^2     ->     (Y^T W Y + lambda I) x = Y^T W r

Y^T W Y is the weighted Gram matrix of all of Y, made once, corrected by a row's own interactions. What WMF and PMF
are is a choice of weights. Here rows are solved exactly: users that are scored, and the oracle of trainings, which
take the steps of `distrecvae.kernels.solvers.conjugate_gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DivergedError
from distrecvae.kernels.likeness import cosines
from distrecvae.kernels.sparse import SparseRows

GROUP_BYTES = 16 << 20
"""What a group of rows may take in the gathered factors and in the matrices. One row always fits, however long."""
GPU_GROUP_BYTES = 256 << 20
"""The same on a GPU, which takes longer to be asked for a small group than to solve it."""


class Weights(NamedTuple):
    """What cells count.

    Attributes:
        one: weight of an interaction.
        zeros: (n_users,), weight of each other cell of a user, between 0 and `one`.
    """

    one: float
    zeros: torch.Tensor


Weighing = Callable[[torch.Tensor, int], Weights]
"""From users' numbers of interactions, int64 (n_users,), and the number of items to the weights, float64."""


class Side(NamedTuple):
    """The least-squares problem of each row: a user's over items, or (transposed) an item's over users.

    The weight of a zero is `row_zeros[row] * column_zeros[column]`.

    Attributes:
        rows: the interactions.
        one: weight of an interaction.
        row_zeros: (n_rows,).
        column_zeros: (n_columns,).
    """

    rows: SparseRows
    one: float
    row_zeros: torch.Tensor
    column_zeros: torch.Tensor


class Solution(NamedTuple):
    """The factors of each row, and how much of the loss they explain.

    Attributes:
        factors: (n_rows, latent_dim).
        explained: float64 scalar, sum over rows of x . Y^T W r. At the solution the rows' loss, regularization
            included, is one * n_interactions minus it.
    """

    factors: torch.Tensor
    explained: torch.Tensor


def solve_rows(
    side: Side, other: torch.Tensor, regularization: float, dtype: torch.dtype | None = None
) -> Solution:
    """Return the factors that minimize each row's loss, given the columns' factors.

    Rows of like length are solved together: their columns' factors are gathered into (rows, length, latent_dim), padded
    with zeros to the longest.

    Args:
        side: the rows' problems.
        other: (n_columns, latent_dim), the columns' factors; all they have in common is computed in their dtype.
        regularization: lambda.
        dtype: of each row's problem and its solution; None for that of `other`.

    Raises:
        DivergedError: a row's matrix is not positive definite in this dtype.
    """
    n_rows, latent_dim = side.rows.n_rows, other.shape[1]
    dtype = dtype or other.dtype
    factors = torch.zeros((n_rows, latent_dim), dtype=dtype, device=other.device)
    explained = torch.zeros((), dtype=torch.float64, device=other.device)
    if not n_rows:
        return Solution(factors, explained)
    zeros = side.column_zeros.to(other.dtype)
    gram = ((other * zeros[:, None]).T @ other).to(dtype)
    padded = F.pad(other, (0, 0, 0, 1))  # the column that stands for none has no factors
    padded_zeros = F.pad(zeros, (0, 1))
    failed = torch.zeros((), dtype=torch.bool, device=other.device)
    for group, length in _groups(side.rows, latent_dim, dtype.itemsize):
        columns = _columns(side.rows, group, length)
        row_zeros = side.row_zeros[group].to(dtype)
        gathered = padded[columns].to(dtype)
        extra = (
            side.one - row_zeros[:, None] * padded_zeros[columns]
        )  # what an interaction counts beyond a zero
        matrix = torch.bmm((gathered * extra[:, :, None]).transpose(1, 2), gathered)
        matrix.addcmul_(row_zeros[:, None, None], gram)
        matrix.diagonal(dim1=1, dim2=2).add_(regularization)
        right = side.one * gathered.sum(dim=1)
        triangle, info = torch.linalg.cholesky_ex(matrix)
        failed |= (info != 0).any()
        solved = torch.cholesky_solve(right[:, :, None], triangle)[:, :, 0]
        factors[group] = solved
        explained += (solved * right).sum(dtype=torch.float64)
    if bool(failed) or not bool(torch.isfinite(explained)):
        raise DivergedError(
            f"least squares cannot be solved with regularization {regularization} in {dtype};"
            " raise regularization"
        )
    return Solution(factors, explained)


def _groups(rows: SparseRows, latent_dim: int, itemsize: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Yield positions of rows, int64 on the rows' device, longest first, and the longest one's length."""
    counts, order = rows.counts.cpu().sort(descending=True, stable=True)
    lengths, order = counts.tolist(), order.to(rows.offsets.device)
    start, room = 0, group_bytes(rows.offsets.device.type)
    while start < len(lengths):
        size = max(1, room // (itemsize * row_elements(lengths[start], latent_dim)))
        yield order[start : start + size], lengths[start]
        start += size


def group_bytes(device_type: str) -> int:
    """Return what a group's gathered factors and matrices take at most, unless it is one long row: bytes."""
    return GROUP_BYTES if device_type == "cpu" else GPU_GROUP_BYTES


def row_elements(length: int, latent_dim: int) -> int:
    """Return the numbers that a row of a group takes: its gathered factors, and its matrix."""
    return max(1, length * latent_dim + latent_dim**2)


def _columns(rows: SparseRows, group: torch.Tensor, length: int) -> torch.Tensor:
    """Return the columns of the rows `group`, int64, (n_group, length); `rows.n_items` where a row has no more."""
    places = torch.arange(length, device=group.device)
    inside = places < rows.counts[group][:, None]
    found = (rows.offsets[group][:, None] + places).masked_fill_(~inside, 0)
    if not rows.items.numel():
        return found
    return rows.items[found].long().masked_fill_(~inside, rows.n_items)


class Factors:
    """Items' factors; a user's are found from what is folded in, by the same ridge problem as in training.

    Attributes:
        items: (n_items, latent_dim).
    """

    def __init__(self, items: torch.Tensor, weigh: Weighing, regularization: float) -> None:
        self.items = items
        self._weigh, self._regularization = weigh, regularization

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.items.shape[0]

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return x . y_i for each user and item: float32, (n_users, n_items)."""
        side = user_side(SparseRows.from_matrix(fold_in, self.items.device), self._weigh)
        # In float64, which costs little for so few, so that scores are the same whoever else is scored; and float32
        # products are oneDNN's in an evaluation, which keeps something of each group's shape.
        users = solve_rows(side, self.items, self._regularization, torch.float64).factors
        return (users.to(self.items.dtype) @ self.items.T).float()

    def likeness(self, item: int) -> torch.Tensor:
        """Return how alike each item and `item` are, by the cosine of their factors: float32, (n_items,)."""
        return cosines(self.items, item)


def user_side(rows: SparseRows, weigh: Weighing) -> Side:
    """Return the users' problems."""
    weights = weigh(rows.counts, rows.n_items)
    ones = torch.ones(rows.n_items, dtype=torch.float64, device=rows.offsets.device)
    return Side(rows, weights.one, weights.zeros, ones)


def item_side(users: Side, columns: SparseRows) -> Side:
    """Return the items' problems, `columns` being the users' rows transposed."""
    return Side(columns, users.one, users.column_zeros, users.row_zeros)


def load_factors(
    n_items: int,
    latent_dim: int,
    state: Mapping[str, torch.Tensor],
    device: torch.device | str,
    weigh: Weighing,
    regularization: float,
) -> Factors:
    """Return the model with the parameters `state`: ``items``.

    Raises:
        CheckpointError: `state` is not such a model's, or of another size.
    """
    items = state.get("items")
    if items is None or items.shape != (n_items, latent_dim) or items.dtype != torch.float32:
        raise CheckpointError(
            f"the file does not hold {latent_dim} float32 factors for each of {n_items} items; it is another model's"
        )
    return Factors(items.to(device), weigh, regularization)
