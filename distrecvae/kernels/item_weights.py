"""Models that score an item by weights of the items that a user has: one (n_items, n_items) matrix.

Such models are learned from X^T X, the Gram matrix of the training users' rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.activity import GRAM, at
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError
from distrecvae.kernels.sparse import SparseRows, gather_sum

BLOCK_ITEMS = 512
"""Rows of the Gram matrix made at a time."""


class ItemWeights:
    """Scores s = x W: the sum of the weights from each item that a user has. A user without items scores 0 everywhere.

    Attributes:
        weight: float32, (n_items, n_items); row i is what having item i adds to each item's score.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight

    @property
    def n_items(self) -> int:
        """Number of items."""
        return self.weight.shape[0]

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return float32 scores, (n_users, n_items)."""
        rows = SparseRows.from_matrix(fold_in, self.weight.device)
        return gather_sum(rows, rows.ones(self.weight.dtype), self.weight)

    def likeness(self, item: int) -> torch.Tensor:
        """Return what having `item` adds to each item's score, its own 0: float32, (n_items,)."""
        likeness = self.weight[item].float().clone()
        likeness[item] = 0.0  # RDLAE lets an item count for itself
        return likeness

    def dense_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Return the same from rows with a place for every item, as a graph of tensors: (n_rows, n_items)."""
        return x @ self.weight


def load_item_weights(
    config: Any,  # noqa: ARG001
    n_items: int,
    state: Mapping[str, torch.Tensor],
    device: torch.device | str = "cpu",
) -> ItemWeights:
    """Return the model with the parameters `state`: ``weight``.

    Raises:
        CheckpointError: `state` is not such a model's, or of another number of items.
    """
    weight = state.get("weight")
    if weight is None or weight.shape != (n_items, n_items) or weight.dtype != torch.float32:
        raise CheckpointError(
            f"the file does not hold float32 weights of {n_items} x {n_items} items; it is another model's"
        )
    return ItemWeights(weight.to(device))


def gram_matrix(
    train: InteractionMatrix,
    dtype: torch.dtype,
    device: torch.device | str,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Return X^T X of the binary users x items matrix, (n_items, n_items): how many users have both items.

    Sparse products on the CPU, written block by block into the dense result. They count in float32, which is exact
    below 2^24 users who have both. `progress` is called after each block, from this thread, with the share of the rows
    that are done.
    """
    with at(GRAM):
        rows = train.to_scipy()
        columns = rows.tocsc()
        gram = torch.empty((train.n_items, train.n_items), dtype=dtype)
        for start in range(0, train.n_items, BLOCK_ITEMS):
            stop = min(start + BLOCK_ITEMS, train.n_items)
            block = np.asarray((columns[:, start:stop].T @ rows).toarray())
            gram[start:stop] = torch.from_numpy(block)
            if progress is not None:
                progress(stop / train.n_items)
        return gram.to(device)


def gram_arrays(
    train: InteractionMatrix, progress: Callable[[float], None] | None = None
) -> dict[str, npt.NDArray[Any]]:
    """Return what all solutions on `train` start from: ``gram``, X^T X, float32, (n_items, n_items).

    `progress` is called now and then, from this thread, with the share of it that is done.
    """
    return {"gram": gram_matrix(train, torch.float32, "cpu", progress).numpy()}


def gram_arrays_bytes(train: InteractionMatrix) -> int:
    """Return the size of `gram_arrays`, without computing them: bytes."""
    return 4 * train.n_items**2


def lent_gram(
    train: InteractionMatrix,
    common: Mapping[str, npt.NDArray[Any]] | None,
    progress: Callable[[float], None] | None = None,
) -> torch.Tensor:
    """Return X^T X, float32, (n_items, n_items), on the CPU: that of `common`, not copied, or else computed.

    It must not be written to: other processes read the same memory. `progress` is told the share of the
    computation that is done, where there is one.
    """
    if common is None:
        return gram_matrix(train, torch.float32, "cpu", progress)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(common["gram"])


def gram_bytes(train: InteractionMatrix, itemsize: int) -> int:
    """Return what `gram_matrix` takes at its peak: bytes. The rows are held twice, and a block sparse and dense."""
    block = min(BLOCK_ITEMS, train.n_items) * train.n_items
    return itemsize * train.n_items**2 + 20 * train.n_interactions + 12 * block
