"""SLIM: sparse, non-negative linear weights between items with a zero diagonal.

Ning, Karypis, "SLIM: Sparse Linear Methods for Top-N Recommender Systems", ICDM 2011. For each item j on its own:

    min over w   1/2 ||x_j - X w||^2 + beta/2 ||w||^2 + lambda ||w||_1     with w >= 0, w_j = 0

which needs of the data G = X^T X alone. Few weights are positive, so that `active_sets` solves most items at once; the
others are solved by coordinate descent:

    w_k <- max(0, (G_kj - sum_(l != k) G_kl w_l - lambda) / (G_kk + beta))

Coordinate k is updated for all items j at once. The sums of a block of coordinates are one product of matrices; within
the block they are kept up to date by updates of rank one. So the iterates are those of coordinate descent, one
coordinate after the other, at the speed of matrix products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch

from distrecvae.checks import require_number
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.kernels.active_sets import Solved, joined, solve_active_sets, working_bytes
from distrecvae.kernels.item_weights import gram_arrays_bytes, gram_bytes, lent_gram
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.sparse_weights import load_weights, stored_bytes, stored_weights

load_slim = load_weights

TOLERANCE = 1e-4
"""An item is done when no coordinate's update would change its weight by more than this share of the item's greatest:
scikit-learn's rule and its value."""
MAX_SWEEPS = 1000
BLOCK = 64
"""Coordinates in a block: enough for fast products, few enough that updates of rank one stay in the cache."""

COMPACT_AT = 8
"""Items that are done are left out once they are one in so many. Each time costs a copy, and oneDNN keeps something of
every shape that it multiplies: measured at 200 MB for one a sweep."""

BATCH_ITEMS = 64
"""Items whose active sets are solved side by side."""
LIMIT = 400
"""Weights in an active set beyond which it is left to coordinate descent, whose sweeps cost the same whatever the size.
Measured with 3,600 items: sets of 257 on average took a fifth of the descent's time, sets of 537 as long."""
DESCENT_LEAST = 256
"""Fewer items than these are left to active sets of any size: a sweep over few is all overhead."""
DESCENT_ITEMS = 512
"""Items that coordinate descent takes at once: wide products, and working memory that is a part of the Gram matrix."""

TYPICAL_WEIGHTS = 128
"""Positive weights of an item, for the estimate of memory. MovieLens-1M: 17 (l1 50, l2 500), 86 (1, 5), 134 (0.1, 0.1);
more only where l2 is far greater than l1."""


@dataclass(frozen=True, kw_only=True)
class SLIMConfig:
    """Settings of SLIM.

    Attributes:
        l1: lambda, weight of ||w||_1; it makes weights zero.
        l2: beta, weight of ||w||^2 / 2.

    Raises:
        ConfigError: a value breaks its rule.
    """

    l1: float = 1.0
    l2: float = 5.0

    def __post_init__(self) -> None:
        require_number("l1", self.l1, at_least=0)
        require_number("l2", self.l2, at_least=0)


def solve_slim(
    config: SLIMConfig,
    train: InteractionMatrix,
    device: torch.device | str = "cpu",
    common: Mapping[str, npt.NDArray[Any]] | None = None,
    progress: Callable[[float], None] | None = None,
) -> dict[str, torch.Tensor]:
    """Return the parameters, float32: column j are item j's w; see `stored_weights` for their form.

    Args:
        config: the regularization.
        train: the training users.
        device: where to solve.
        common: the Gram matrix, where it is lent (`gram_arrays`); None computes it.
        progress: called now and then, from this thread, with the share of the Gram matrix that is done, unless it is
            lent, and then with that of the items that are solved.

    Raises:
        DivergedError: weights still changed in the last sweep.
    """
    gram = lent_gram(train, common, progress).to(device)
    solved = elastic_nets(gram, config, progress=progress)
    return stored_weights(solved.features, solved.items, solved.values, train.n_items)


def elastic_nets(
    gram: torch.Tensor,
    config: SLIMConfig,
    tolerance: float = TOLERANCE,
    progress: Callable[[float], None] | None = None,
) -> Solved:
    """Return the weights of all items.

    On a CPU, as many batches are solved at once as PyTorch may use threads; what comes out does not depend on it.

    Args:
        gram: G, (n_items, n_items); its dtype is that of the arithmetic.
        config: the regularization.
        tolerance: when an item is done; see `TOLERANCE`.
        progress: called with the share of the items that are solved.

    Raises:
        DivergedError: weights still changed in the last sweep.
    """
    n_items = gram.shape[0]
    unsolved = n_items

    def stage(work: Callable[[torch.Tensor], Solved], items: torch.Tensor, at_once: int) -> Solved:
        nonlocal unsolved
        found = [
            Solved(
                *(
                    gram.new_empty(0, dtype=dtype)
                    for dtype in (torch.int32, torch.int32, gram.dtype, torch.int64)
                )
            )
        ]
        parts = [items[start : start + at_once] for start in range(0, items.numel(), at_once)]
        for part, solved in zip(parts, _side_by_side(work, parts, gram.device), strict=True):
            found.append(solved)
            unsolved -= part.numel() - solved.left.numel()
            if progress is not None:
                progress(1 - unsolved / n_items)
        return joined(found)

    def by_active_sets(limit: int) -> Callable[[torch.Tensor], Solved]:
        return lambda items: solve_active_sets(gram, items, config.l1, config.l2, tolerance, limit)

    by_popularity = gram.diagonal().argsort(descending=True, stable=True)  # like items have sets of like size
    small = stage(by_active_sets(LIMIT), by_popularity, BATCH_ITEMS)
    few = small.left if small.left.numel() < DESCENT_LEAST else small.left[:0]
    large = stage(by_active_sets(n_items), few, 1)
    rest = large.left if few.numel() else small.left
    with fast_float32():
        others = stage(lambda items: _descended(gram, items, small, config, tolerance), rest, DESCENT_ITEMS)
    return joined([small.without(small.left), large.without(large.left), others])


def _side_by_side(
    work: Callable[[torch.Tensor], Solved], parts: Sequence[torch.Tensor], device: torch.device
) -> Iterator[Solved]:
    """Yield the work's results in order; on a CPU by as many threads as PyTorch has, each of which computes alone."""
    threads = torch.get_num_threads()
    if threads == 1 or device.type != "cpu" or len(parts) < 2:
        yield from map(work, parts)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, parts)
    finally:
        torch.set_num_threads(
            threads
        )  # what a thread of the pool chose would hold for threads that come later


def _descended(
    gram: torch.Tensor, items: torch.Tensor, begun: Solved, config: SLIMConfig, tolerance: float
) -> Solved:
    """Return the weights of `items` by coordinate descent, starting from what was `begun`."""
    column = torch.full((gram.shape[0],), -1, device=gram.device)
    column[items] = torch.arange(items.numel(), device=items.device)
    ours = column[begun.items] >= 0
    start = gram.new_zeros(gram.shape[0], items.numel())
    start[begun.features[ours], column[begun.items[ours]]] = begun.values[ours]
    weight = descend(gram, config, tolerance, items, start)
    features, columns = weight.nonzero(as_tuple=True)
    return Solved(features.int(), items[columns].int(), weight[features, columns], items[:0])


def descend(
    gram: torch.Tensor,
    config: SLIMConfig,
    tolerance: float = TOLERANCE,
    items: torch.Tensor | None = None,
    start: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the weights of some items, (n_items, n_columns), by coordinate descent.

    Args:
        gram: G, (n_items, n_items); its dtype is that of the arithmetic.
        config: the regularization.
        tolerance: when an item is done; see `TOLERANCE`.
        items: int64, (n_columns,), which items; None for all.
        start: (n_items, n_columns), where to start; it is overwritten. None for zeros.

    Raises:
        DivergedError: weights still changed in the last sweep.
    """
    if items is None:
        items = torch.arange(gram.shape[0], device=gram.device)
    current = gram.new_zeros(gram.shape[0], items.numel()) if start is None else start
    weight = torch.zeros_like(current)
    columns = torch.arange(items.numel(), device=gram.device)  # of the items that are not done
    for _ in range(MAX_SWEEPS):
        if not columns.numel():
            return weight
        change = _sweep(gram, current, items[columns], config)
        done = change <= tolerance * current.amax(dim=0)
        if int(done.sum()) * COMPACT_AT >= columns.numel():
            weight[:, columns[done]] = current[:, done]
            columns, current = columns[~done], current[:, ~done]
    raise DivergedError(
        f"weights of {columns.numel()} items still changed after {MAX_SWEEPS} sweeps; raise l2 or l1"
    )


def _sweep(gram: torch.Tensor, weight: torch.Tensor, items: torch.Tensor, config: SLIMConfig) -> torch.Tensor:
    """Update every coordinate of the columns `items`, in place; return each column's greatest change.

    Args:
        gram: (n_items, n_items).
        weight: (n_items, n_active), the columns.
        items: int64, (n_active,), which items they are.
        config: the regularization.
    """
    n_items = gram.shape[0]
    greatest = weight.new_zeros(items.numel())
    diagonal = gram.diagonal()
    curvature = diagonal + config.l2
    curvature = torch.where(
        curvature > 0, curvature, 1.0
    )  # an item of nobody: its weight is 0 whatever divides
    for start in range(0, n_items, BLOCK):
        stop = min(start + BLOCK, n_items)
        # What is left to explain: G_kj - sum_l G_kl w_l, for the coordinates k of the block.
        left = gram[start:stop][:, items] - gram[start:stop] @ weight
        for k in range(start, stop):
            row = left[k - start]
            new = ((row + diagonal[k] * weight[k] - config.l1) / curvature[k]).clamp_(min=0.0)
            new.masked_fill_(items == k, 0.0)
            delta = new - weight[k]
            weight[k] = new
            left[k + 1 - start :].addr_(gram[k + 1 : stop, k], delta, alpha=-1)
            torch.maximum(greatest, delta.abs_(), out=greatest)
    return greatest


def slim_bytes(config: SLIMConfig, train: InteractionMatrix, lent: bool = False) -> tuple[int, int]:
    """Return what solving takes at its peak, on one thread, and the weights: bytes, without a `lent` Gram matrix.

    How many weights will be positive is not known beforehand: at most those between items of more than l1 users each,
    for G_kj <= lambda keeps w_k at zero where nothing in G is negative; and a guess by experience.
    """
    n_items = train.n_items
    counted = int((train.item_counts() > config.l1).sum())
    n_weights = counted * min(counted, TYPICAL_WEIGHTS)
    gram = 0 if lent else gram_arrays_bytes(train)
    batch = working_bytes(min(BATCH_ITEMS, n_items), n_items, LIMIT)
    # Coordinate descent: the start, the result, what is left of both when items are done, and oneDNN's copy.
    descent = 5 * 4 * min(DESCENT_ITEMS, n_items) * n_items
    result = 2 * 12 * n_weights + stored_bytes(n_weights, n_items)
    making = 0 if lent else gram_bytes(train, 4)
    return max(making, gram + max(batch, descent) + result), stored_bytes(n_weights, n_items)
