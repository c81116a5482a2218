"""Sparse weights between items: how they are stored, loaded and used for scoring."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

import scipy.sparse as sp
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError
from distrecvae.kernels.item_weights import ItemWeights, load_item_weights
from distrecvae.kernels.sparse import SparseRows, gather_sum

SPARSE_BELOW = 0.25
"""Share of weights that are not zero below which they are stored sparse: half of the dense matrix's memory, or less."""
USERS_AT_ONCE = 64
COLUMNS_AT_ONCE = 512
"""Columns of the weights that are written out at a time on a GPU."""
_NAMES = ("offsets", "items", "values")


class SparseItemWeights:
    """Scores s = x W with a sparse W; see `ItemWeights`.

    Attributes:
        offsets: int64, (n_items + 1,), where each row of W starts.
        items: int32, (n_weights,), columns, rising in a row.
        values: float32, (n_weights,).
    """

    def __init__(self, offsets: torch.Tensor, items: torch.Tensor, values: torch.Tensor) -> None:
        self.offsets, self.items, self.values = offsets, items, values

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.offsets.numel() - 1

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return float32 scores, (n_users, n_items)."""
        if self.values.is_cuda:
            return self._gather(fold_in)
        scores = torch.empty(fold_in.n_users, self.n_items)
        for start in range(0, fold_in.n_users, USERS_AT_ONCE):  # what is between is larger
            stop = min(start + USERS_AT_ONCE, fold_in.n_users)
            product = fold_in.slice(start, stop).to_scipy() @ self._matrix
            product.toarray(out=scores[start:stop].numpy())
        return scores

    def likeness(self, item: int) -> torch.Tensor:
        """Return what having `item` adds to each item's score, its own 0: float32, (n_items,)."""
        own = slice(int(self.offsets[item]), int(self.offsets[item + 1]))
        likeness = self.values.new_zeros(self.n_items)
        likeness[self.items[own].long()] = self.values[own]
        likeness[item] = 0.0
        return likeness

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        if not self.values.numel():  # PyTorch's exporter cannot keep tensors of nothing
            return torch.zeros_like(x)
        rows = torch.bucketize(torch.arange(self.values.numel()), self.offsets, right=True) - 1
        weight = torch.zeros(self.n_items, self.n_items).index_put((rows, self.items.long()), self.values)
        return x @ weight

    @cached_property
    def _matrix(self) -> sp.csr_array:
        parts = (self.values.numpy(), self.items.numpy(), self.offsets.numpy())
        return sp.csr_array(parts, shape=(self.n_items, self.n_items))

    @cached_property
    def _by_column(self) -> tuple[list[int], torch.Tensor, torch.Tensor]:
        """The weights in blocks of columns: where each block starts, each weight's cell in its block, the values."""
        rows = torch.arange(self.n_items, device=self.items.device)
        rows = rows.repeat_interleave(self.offsets.diff(), output_size=self.items.numel())
        columns, order = self.items.long().sort(stable=True)
        starts = torch.arange(0, self.n_items + COLUMNS_AT_ONCE, COLUMNS_AT_ONCE, device=columns.device)
        cells = rows[order] * COLUMNS_AT_ONCE + columns % COLUMNS_AT_ONCE
        return torch.searchsorted(columns, starts).tolist(), cells, self.values[order]

    def _gather(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return the scores on a GPU: some columns of W at a time are made dense, and gathered.

        Adding each weight to its user's score would take atomics, whose order, and so the sums, differ between calls.
        """
        rows = SparseRows.from_matrix(fold_in, self.values.device)
        ones = rows.ones(self.values.dtype)
        scores = torch.empty(fold_in.n_users, self.n_items, device=self.values.device)
        starts, cells, values = self._by_column
        for block, (first, last) in enumerate(pairwise(starts)):
            some = values.new_zeros(self.n_items * COLUMNS_AT_ONCE)
            some[cells[first:last]] = values[first:last]
            out = scores[:, block * COLUMNS_AT_ONCE :][:, :COLUMNS_AT_ONCE]
            out.copy_(gather_sum(rows, ones, some.view(-1, COLUMNS_AT_ONCE))[:, : out.shape[1]])
        return scores


def stored_weights(
    features: torch.Tensor, items: torch.Tensor, values: torch.Tensor, n_items: int
) -> dict[str, torch.Tensor]:
    """Return the parameters of a model with the given weights, on their device.

    Args:
        features: int32, (n_weights,), rows.
        items: int32, (n_weights,), columns.
        values: (n_weights,), float.
        n_items: number of items.

    Returns:
        ``weight``, float32, (n_items, n_items), if a share of `SPARSE_BELOW` or more are given; else ``offsets``,
        ``items``, ``values`` as in `SparseItemWeights`.
    """
    if values.numel() >= SPARSE_BELOW * n_items**2:
        dense = torch.zeros(n_items, n_items, device=values.device)
        dense[features.long(), items.long()] = values.float()
        return {"weight": dense}
    data, rows, columns = (part.cpu().numpy() for part in (values.float(), features, items))
    weight = sp.coo_array((data, (rows, columns)), shape=(n_items, n_items)).tocsr()
    weight.sort_indices()
    stored = {
        "offsets": torch.from_numpy(weight.indptr).long(),
        "items": torch.from_numpy(weight.indices).int(),
        "values": torch.from_numpy(weight.data),
    }
    return {name: value.to(values.device) for name, value in stored.items()}


def stored_bytes(n_weights: int, n_items: int) -> int:
    """Return the size of what `stored_weights` returns for so many weights that are not zero: bytes."""
    dense = 4 * n_items**2
    return dense if n_weights >= SPARSE_BELOW * n_items**2 else 8 * (n_weights + n_items + 1)


def load_weights(
    config: Any, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device | str = "cpu"
) -> ItemWeights | SparseItemWeights:
    """Return the model with the parameters that `stored_weights` gave.

    Raises:
        CheckpointError: `state` is not such a model's, or of another number of items.
    """
    if any(name not in state for name in _NAMES):
        return load_item_weights(config, n_items, state, device)
    offsets, items, values = (state[name] for name in _NAMES)
    if not (
        (offsets.dtype, items.dtype, values.dtype) == (torch.int64, torch.int32, torch.float32)
        and offsets.shape == (n_items + 1,)
        and items.shape == values.shape == (int(offsets[-1]),)
        and int(offsets[0]) == 0
        and bool((offsets[1:] >= offsets[:-1]).all())
        and (not items.numel() or (int(items.min()) >= 0 and int(items.max()) < n_items))
    ):
        raise CheckpointError(
            f"the file does not hold float32 weights of {n_items} x {n_items} items; it is another model's"
        )
    return SparseItemWeights(offsets.to(device), items.to(device), values.to(device))
