"""Sparse rows on a device: a CSR of interactions in torch, and its products with dense matrices.

These products are the first layer of every model here (its input is a user's row, almost all zeros) and that
layer's gradient. Neither makes anything of the size users x items or interactions x width, and on CUDA neither
waits for the device.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.transfer import onto
from distrecvae.kernels.triton.choice import usable

PIECE_PLACES = 64
"""Interactions that one thread of a GPU sums at most: PyTorch's kernel lets one walk a whole row for each column."""


INT32_PLACES = 2**31 - 1
"""Interactions that int32 can count."""


class Pieces(NamedTuple):
    """Rows cut into pieces of at most `PIECE_PLACES` places, padding too, and bags of as many pieces.

    Attributes, int32 where that counts the places, else int64:
        offsets: (n_pieces + 1,), where each piece starts in `SparseRows.items`; some at the end may be empty.
        numbers: (n_pieces,), 0, 1, 2, ...
        rows: where each row's pieces start, then bags of pieces that belong to no row.
    """

    offsets: torch.Tensor
    numbers: torch.Tensor
    rows: torch.Tensor


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a binary users x items matrix, on one device.

    `items` may be longer than the rows are: what follows the last row is padding, which belongs to no row, so
    that batches of different lengths have one shape (a CUDA graph's).

    Attributes:
        offsets: int64, (n_rows + 1,), where each row starts in `items`.
        items: int32, (n_places,), item positions, strictly increasing in a row.
        n_items: number of columns.
        padded: whether there may be padding.
    """

    offsets: torch.Tensor
    items: torch.Tensor
    n_items: int
    padded: bool = False

    @classmethod
    def from_matrix(cls, matrix: InteractionMatrix, device: torch.device | str = "cpu") -> SparseRows:
        """Return `matrix` on `device`; on the CPU the item positions stay where they are."""
        with warnings.catch_warnings():
            # The arrays are read-only and torch has no read-only tensors; nothing here writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            offsets, items = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices)
        return cls(onto(offsets, device), onto(items, device), matrix.n_items)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.offsets.numel() - 1

    @cached_property
    def counts(self) -> torch.Tensor:
        """The number of interactions of each row: int64, (n_rows,)."""
        return self.offsets[1:] - self.offsets[:-1]

    @cached_property
    def row_of(self) -> torch.Tensor:
        """The row of each place: int64, (n_places,); `n_rows` for padding."""
        if self.padded:
            places = torch.arange(self.items.numel(), device=self.items.device)
            return torch.searchsorted(self.offsets[1:], places, right=True)
        rows = torch.arange(self.n_rows, device=self.items.device)
        return rows.repeat_interleave(self.counts, output_size=self.items.numel())

    @cached_property
    def pieces(self) -> Pieces:
        """The rows in pieces, of a number that the host knows: nothing waits for the device."""
        device, n_places = self.items.device, self.items.numel()
        ends = F.pad(
            self.offsets[1:], (0, 1), value=n_places
        )  # what follows the last row is one more row here
        starts = F.pad(ends, (1, 0))[:-1]
        counts = (ends - starts + (PIECE_PLACES - 1)) // PIECE_PLACES
        last = counts.cumsum(0)
        first = last - counts
        n_pieces = n_places // PIECE_PLACES + self.n_rows + 1
        numbers = torch.arange(n_pieces, device=device)
        row = torch.searchsorted(last, numbers, right=True).clamp(max=self.n_rows)
        offsets = torch.minimum(starts[row] + (numbers - first[row]) * PIECE_PLACES, ends[-1:])
        spare = torch.arange(n_pieces // PIECE_PLACES + 2, device=device) * PIECE_PLACES
        rows = torch.cat([first, (first[-1:] + spare[1:]).clamp(max=n_pieces)])
        # Once for all the sums of these rows: `_bags` would convert them in each.
        index = _index_dtype(n_places)
        return Pieces(torch.cat([offsets, ends[-1:]]).to(index), numbers.to(index), rows.to(index))

    def take(self, rows: torch.Tensor, n_places: int | None = None, *, padded: bool = False) -> SparseRows:
        """Return `rows` (int64, on the same device) in that order.

        Args:
            rows: row positions.
            n_places: how many interactions the rows have, or more if `padded`; None counts them, which waits for a GPU.
            padded: whether what is beyond the rows' interactions is padding.
        """
        starts = self.offsets[rows]
        counts = self.offsets[rows + 1] - starts
        offsets = F.pad(counts.cumsum(0), (1, 0))
        if n_places is None:
            n_places = int(offsets[-1])
        places = torch.arange(n_places, device=rows.device)
        taken = SparseRows(offsets, places, self.n_items, padded)
        shift = starts - offsets[:-1]
        if not padded:
            items = self.items[places + shift[taken.row_of]]
        else:
            # Padding gets items in turn: all of it in one item would make that one's sum a long one.
            items = (places % self.n_items).to(torch.int32)
            if self.items.numel():  # or there is nothing to look up, on a GPU at the price of the process
                inside = places < offsets[-1]
                at = torch.where(inside, places + shift[taken.row_of.clamp(max=rows.numel() - 1)], 0)
                items = torch.where(inside, self.items[at], items)
        return SparseRows(offsets, items, self.n_items, padded)

    def slice(self, start: int, stop: int) -> SparseRows:
        """Return rows start..stop-1; `items` stays a view."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return SparseRows(offsets - first, self.items[first:last], self.n_items)

    def ones(self, dtype: torch.dtype) -> torch.Tensor:
        """Return 1 for each interaction and 0 for padding: (n_places,)."""
        if self.padded:
            return (self.row_of < self.n_rows).to(dtype)
        return torch.ones(self.items.numel(), dtype=dtype, device=self.items.device)

    def unit_values(self, dtype: torch.dtype) -> torch.Tensor:
        """Return 1 / ||x||_2 of its row for each interaction and 0 for padding: (n_places,)."""
        norms = self.counts.clamp(min=1).to(dtype).rsqrt()
        return (F.pad(norms, (0, 1)) if self.padded else norms)[self.row_of]


def gather_sum(rows: SparseRows, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the product of the sparse matrix (`rows`, `values`) and `weight`: (n_rows, width).

    Args:
        rows: where the matrix is not zero.
        values: (n_places,), its values there, of the dtype of `weight`; 0 for padding.
        weight: (n_items, width).
    """
    if usable(weight, values):
        from distrecvae.kernels.triton.gather import gather_sum as split_gather_sum

        return split_gather_sum(rows.offsets, rows.items, values, weight)
    if weight.is_cuda:
        # Two sums, of pieces and of what they gave, so that no thread walks a long row; or all padding, which PyTorch's
        # kernel takes for part of the last row.
        pieces = rows.pieces
        parts = _bags(rows.items, weight, pieces.offsets, values)
        return _bags(pieces.numbers, parts, pieces.rows, None)[: rows.n_rows]
    return _bags(rows.items, weight, rows.offsets, values)


def _index_dtype(n_places: int) -> torch.dtype:
    """Return the type that counts places: the narrow one is as fast or faster."""
    return torch.int32 if n_places <= INT32_PLACES else torch.int64


def _bags(
    places: torch.Tensor, weight: torch.Tensor, offsets: torch.Tensor, values: torch.Tensor | None
) -> torch.Tensor:
    """Return the sums of the rows `places` of `weight`, times `values`, from each of `offsets` to the next one."""
    index = _index_dtype(places.numel())  # both must be of one type
    return F.embedding_bag(
        places.to(index),
        weight,
        offsets.to(index),
        mode="sum",
        per_sample_weights=values,
        include_last_offset=True,
    )


def scatter_sum(rows: SparseRows, values: torch.Tensor, dense: torch.Tensor, out: torch.Tensor) -> None:
    """Write the product of the transposed sparse matrix (`rows`, `values`) and `dense` into `out`.

    This is the gradient of `gather_sum` with respect to `weight`. Every element of `out` is written; using one `out`
    again and again saves page faults that would cost more than the product.

    Args:
        rows: where the matrix is not zero.
        values: (n_places,); 0 for padding.
        dense: (n_rows, width).
        out: (n_items, width), contiguous.
    """
    if out.device.type == "cpu" and not rows.padded:
        _scatter_sum_on_cpu(rows, values, dense, out)
    else:
        _scatter_sum_by_item(rows, values, dense, out)


def _scatter_sum_on_cpu(
    rows: SparseRows, values: torch.Tensor, dense: torch.Tensor, out: torch.Tensor
) -> None:
    """Transpose with SciPy, multiply with MKL where PyTorch has it."""
    shape = (rows.n_rows, rows.n_items)
    matrix = sp.csr_array(
        (values.numpy(), rows.items.numpy(), rows.offsets.numpy().astype(np.int32)), shape=shape
    )
    transposed = matrix.tocsc()
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        out.copy_(torch.from_numpy(transposed.T @ dense.numpy()))
        return
    parts = (transposed.indptr.astype(np.int32), transposed.indices.astype(np.int32), transposed.data)
    starts, users, data = (torch.from_numpy(part) for part in parts)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        sparse = torch.sparse_csr_tensor(
            starts, users, data, (rows.n_items, rows.n_rows), check_invariants=False
        )
        torch.addmm(out, sparse, dense, beta=0.0, out=out)


def _scatter_sum_by_item(
    rows: SparseRows, values: torch.Tensor, dense: torch.Tensor, out: torch.Tensor
) -> None:
    """Sort the interactions by item: then an item is a row and the product a gather-sum, without atomics or waiting."""
    items, order = rows.items.sort(stable=True)
    starts = torch.searchsorted(items, torch.arange(rows.n_items + 1, dtype=torch.int32, device=items.device))
    users = rows.row_of[order].clamp(max=rows.n_rows - 1).to(torch.int32)  # padding: any row, its value is 0
    by_item = SparseRows(starts, users, rows.n_rows)
    out.copy_(gather_sum(by_item, values[order], dense))
