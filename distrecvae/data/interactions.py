"""InteractionMatrix: who interacted with what, as an immutable CSR without values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from distrecvae.errors import DataError

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class InteractionMatrix:
    """A binary users x items matrix in canonical CSR form; rows are users.

    The arrays are held as read-only views: nothing given is copied (so arrays that lie in shared memory stay
    there) and nothing given is changed. Row u's items are ``indices[indptr[u]:indptr[u + 1]]``, strictly
    increasing.

    Attributes:
        indptr: int64, (n_users + 1,), non-decreasing, from 0 to the number of interactions.
        indices: int32, (n_interactions,), item positions.
        n_items: number of columns.

    Raises:
        DataError: the arrays are not canonical CSR of these types.
    """

    indptr: Int64Array
    indices: Int32Array
    n_items: int

    def __post_init__(self) -> None:
        for name, dtype in (("indptr", np.int64), ("indices", np.int32)):
            array = getattr(self, name)
            if array.dtype != dtype or array.ndim != 1:
                raise DataError(
                    f"{name} has dtype {array.dtype} and {array.ndim} axes; it must be one axis of {dtype.__name__}"
                )
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        if self.indptr.size < 1 or self.indptr[0] != 0 or self.indptr[-1] != self.indices.size:
            raise DataError(f"indptr must run from 0 to {self.indices.size}, the number of interactions")

    @classmethod
    def checked(cls, indptr: Int64Array, indices: Int32Array, n_items: int) -> InteractionMatrix:
        """Return the matrix after reading every index once: the way in for arrays of unknown origin.

        Raises:
            DataError: rows not strictly increasing, item positions out of range, or indptr decreasing.
        """
        matrix = cls(indptr, indices, n_items)
        if np.any(np.diff(indptr) < 0):
            raise DataError("indptr decreases; row boundaries must be in order")
        if indices.size:
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= n_items:
                raise DataError(f"item position {low if low < 0 else high} is outside 0..{n_items - 1}")
            rising = np.diff(indices) > 0
            starts = indptr[1:-1]
            starts = starts[(starts > 0) & (starts < indices.size)]
            rising[starts - 1] = True
            if not rising.all():
                raise DataError(
                    "a row's item positions are not strictly increasing; sort them and merge duplicates"
                )
        return matrix

    @classmethod
    def from_pairs(
        cls, users: npt.ArrayLike, items: npt.ArrayLike, *, n_users: int, n_items: int
    ) -> InteractionMatrix:
        """Return the matrix of (user, item) position pairs in any order; duplicates are merged.

        Raises:
            DataError: a position is negative or not below `n_users` or `n_items`.
        """
        u, i = np.asarray(users, dtype=np.int64), np.asarray(items, dtype=np.int64)
        if u.shape != i.shape or u.ndim != 1:
            raise DataError(
                f"users and items have shapes {u.shape} and {i.shape}; they must be one axis of equal length"
            )
        for name, values, bound in (("user", u, n_users), ("item", i, n_items)):
            if values.size and (values.min() < 0 or values.max() >= bound):
                bad = values.min() if values.min() < 0 else values.max()
                raise DataError(f"{name} position {bad} is outside 0..{bound - 1}")
        cells = np.sort(u * n_items + i)  # np.unique hashes, which is several times slower here
        if cells.size:
            cells = cells[np.concatenate([[True], cells[1:] != cells[:-1]])]
        rows, columns = np.divmod(cells, n_items) if n_items else (cells, cells)
        indptr = np.zeros(n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=n_users), out=indptr[1:])
        return cls(indptr, columns.astype(np.int32), n_items)

    @property
    def n_users(self) -> int:
        """Number of rows."""
        return self.indptr.size - 1

    @property
    def n_interactions(self) -> int:
        """Number of cells that are one."""
        return self.indices.size

    @property
    def shape(self) -> tuple[int, int]:
        """(n_users, n_items)."""
        return self.n_users, self.n_items

    def counts(self) -> Int64Array:
        """Return each user's number of interactions: int64, (n_users,)."""
        return np.diff(self.indptr)

    def item_counts(self) -> Int64Array:
        """Return each item's number of interactions: int64, (n_items,)."""
        return np.bincount(self.indices, minlength=self.n_items).astype(np.int64, copy=False)

    def row(self, user: int) -> Int32Array:
        """Return the item positions of one user, a view."""
        return self.indices[self.indptr[user] : self.indptr[user + 1]]

    def slice(self, start: int, stop: int) -> InteractionMatrix:
        """Return users start..stop-1 as a matrix; `indices` stays a view of the same memory."""
        indptr = self.indptr[start : stop + 1]
        return InteractionMatrix(indptr - indptr[0], self.indices[indptr[0] : indptr[-1]], self.n_items)

    def take(self, users: npt.NDArray[np.integer]) -> InteractionMatrix:
        """Return the rows of `users` in that order, copied, without a Python loop over them."""
        starts, counts = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        indptr = np.zeros(users.size + 1, dtype=np.int64)
        np.cumsum(counts, out=indptr[1:])
        positions = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], counts)
        return InteractionMatrix(indptr, self.indices[positions], self.n_items)

    def over(self, place: npt.NDArray[np.int64], n_items: int) -> InteractionMatrix:
        """Return the interactions with items that have a place among `n_items` others, at it.

        Args:
            place: (n_items of this,), where each item goes, -1 for one that is left.
            n_items: columns of the result.
        """
        users, items = np.repeat(np.arange(self.n_users), self.counts()), place[self.indices]
        known = items >= 0
        return InteractionMatrix.from_pairs(users[known], items[known], n_users=self.n_users, n_items=n_items)

    def to_scipy(self) -> sp.csr_array:
        """Return a float32 SciPy CSR of ones with copies of the index arrays: for oracles and solvers."""
        ones = np.ones(self.n_interactions, dtype=np.float32)
        return sp.csr_array((ones, self.indices.copy(), self.indptr.copy()), shape=self.shape)
