"""Owns sparse rows on a device: a CSR of interactions in torch, and its products with dense matrices.

These products are the first layer of every model here (its input is a user's row, almost all zeros) and that
layer's gradient. Neither makes anything of the size users x items or interactions x width.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.data.interactions import InteractionMatrix


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a binary users x items matrix, on one device.

    Attributes:
        offsets: int64, (n_rows + 1,), where each row starts in `items`.
        items: int32, (n_interactions,), item positions, strictly increasing in a row.
        n_items: number of columns.
    """

    offsets: torch.Tensor
    items: torch.Tensor
    n_items: int

    @classmethod
    def from_matrix(cls, matrix: InteractionMatrix, device: torch.device | str = "cpu") -> SparseRows:
        """Return `matrix` on `device`; on the CPU the item positions stay where they are."""
        with warnings.catch_warnings():
            # The arrays are read-only and torch has no read-only tensors; nothing here writes to them.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            offsets, items = torch.from_numpy(matrix.indptr), torch.from_numpy(matrix.indices)
        return cls(offsets.to(device), items.to(device), matrix.n_items)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.offsets.numel() - 1

    def counts(self) -> torch.Tensor:
        """Return the number of interactions of each row: int64, (n_rows,)."""
        return self.offsets[1:] - self.offsets[:-1]

    def row_of(self) -> torch.Tensor:
        """Return the row of each interaction: int64, (n_interactions,)."""
        rows = torch.arange(self.n_rows, device=self.items.device)
        return rows.repeat_interleave(self.counts(), output_size=self.items.numel())

    def take(self, rows: torch.Tensor) -> SparseRows:
        """Return `rows` (int64, on the same device) in that order."""
        starts = self.offsets[rows]
        counts = self.offsets[rows + 1] - starts
        offsets = F.pad(counts.cumsum(0), (1, 0))
        n_interactions = int(offsets[-1])
        shift = (starts - offsets[:-1]).repeat_interleave(counts, output_size=n_interactions)
        return SparseRows(
            offsets, self.items[shift + torch.arange(n_interactions, device=rows.device)], self.n_items
        )

    def slice(self, start: int, stop: int) -> SparseRows:
        """Return rows start..stop-1; `items` stays a view."""
        offsets = self.offsets[start : stop + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        return SparseRows(offsets - first, self.items[first:last], self.n_items)

    def unit_values(self, dtype: torch.dtype) -> torch.Tensor:
        """Return 1 / ||x||_2 of its row for each interaction: (n_interactions,)."""
        norms = self.counts().clamp(min=1).to(dtype).rsqrt()
        return norms.repeat_interleave(self.counts(), output_size=self.items.numel())


def gather_sum(rows: SparseRows, values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the product of the sparse matrix (`rows`, `values`) and `weight`: (n_rows, width).

    Args:
        rows: where the matrix is not zero.
        values: (n_interactions,), its values there, of the dtype of `weight`.
        weight: (n_items, width).
    """
    return F.embedding_bag(
        rows.items,
        weight,
        rows.offsets.to(torch.int32),
        mode="sum",
        per_sample_weights=values,
        include_last_offset=True,
    )


def scatter_sum(rows: SparseRows, values: torch.Tensor, dense: torch.Tensor, out: torch.Tensor) -> None:
    """Write the product of the transposed sparse matrix (`rows`, `values`) and `dense` into `out`.

    This is the gradient of `gather_sum` with respect to `weight`. Every element of `out` is written; making
    `out` once and writing to it for ever saves the page faults that would cost more than the product.

    Args:
        rows: where the matrix is not zero.
        values: (n_interactions,).
        dense: (n_rows, width).
        out: (n_items, width), contiguous.
    """
    if out.device.type == "cpu":
        shape = (rows.n_rows, rows.n_items)
        matrix = sp.csr_array(
            (values.numpy(), rows.items.numpy(), rows.offsets.numpy().astype(np.int32)), shape=shape
        )
        transposed = matrix.tocsc()
        if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
            out.copy_(torch.from_numpy(transposed.T @ dense.numpy()))
            return
        parts = (transposed.indptr.astype(np.int32), transposed.indices.astype(np.int32), transposed.data)
        starts, columns, data = (torch.from_numpy(part) for part in parts)
    else:
        items, order = rows.items.sort(stable=True)
        starts = F.pad(torch.bincount(items, minlength=rows.n_items).cumsum(0), (1, 0)).to(torch.int32)
        columns, data = rows.row_of()[order].to(torch.int32), values[order]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        sparse = torch.sparse_csr_tensor(
            starts, columns, data, (rows.n_items, rows.n_rows), check_invariants=False
        )
        torch.addmm(out, sparse, dense, beta=0.0, out=out)
