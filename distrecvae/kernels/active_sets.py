"""Non-negative elastic nets by active sets: many small ones over one Gram matrix, solved exactly, side by side.

For an item j, with G = X^T X, H = G + l2 I and d = G_j - l1, the weights are the only w with

    w >= 0,   w_j = 0,   H w - d >= 0 except at j,   and one of the two is 0 at every other coordinate.

If the set F of the positive weights is known, they are H_FF^-1 d_F: one Cholesky factorization of the size of F, which
is small. F is found by rounds (block pivoting; Portugal, Judice, Vicente, Mathematics of Computation 63, 1994): solve
on F, drop what came out negative, add the zeros that would grow most, until there is nothing to exchange. Where that
does not end, or F is large, the item is left to coordinate descent, which needs no sets.

The host must know how large the sets are, what is done and how much of it: a GPU is waited for four times a round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F  # noqa: N812

MAX_ROUNDS = 40
TAKEN_IN = 32
"""Zeros that are taken in a round, at most, or half as many as the set has. Measured: with 64 sets are too large at
first, with 16 nothing is gained."""
INT32_MAX = 2**31 - 1
CELLS_AT_ONCE = 1 << 18
"""Cells of the systems that are solved in one call: keeps working memory flat (`working_bytes`)."""


class Solved(NamedTuple):
    """Positive weights, each a place in the (n_items, n_items) matrix of weights.

    Attributes:
        features: int32, (n_positive,), rows: items that others are explained by.
        items: int32, (n_positive,), columns: items that are explained.
        values: (n_positive,), of the Gram matrix's dtype.
        left: int64, items that were not solved; for those with large sets, the weights found so far are returned.
    """

    features: torch.Tensor
    items: torch.Tensor
    values: torch.Tensor
    left: torch.Tensor

    def without(self, items: torch.Tensor) -> Solved:
        """Return the weights of the other items, and nothing left."""
        kept = ~torch.isin(self.items, items)
        return Solved(self.features[kept], self.items[kept], self.values[kept], self.left[:0])


def joined(parts: Sequence[Solved]) -> Solved:
    """Return several batches as one."""
    return Solved(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def solve_active_sets(
    gram: torch.Tensor, items: torch.Tensor, l1: float, l2: float, tolerance: float, limit: int
) -> Solved:
    """Return the weights of `items`.

    Args:
        gram: G, (n_items, n_items), contiguous, not negative; its dtype is that of gradients, systems are solved in
            float64.
        items: int64, (n_batch,); of similar popularity, since their sets are padded to one size.
        l1: weight of the sum of weights.
        l2: weight of half the sum of their squares.
        tolerance: an item is done when no zero weight would grow, alone, by more than this share of the greatest.
        limit: an item whose set is larger than this and not right yet is left.
    """
    curvature = gram.diagonal() + l2
    curvature = torch.where(curvature > 0, curvature, 1.0)  # an item of nobody never grows
    gain = gram[items] - l1  # d, a row an item
    active = torch.zeros_like(gain, dtype=torch.bool)
    found = []
    for _ in range(MAX_ROUNDS):
        sets = _Sets(active)
        solution, failed = _solve_on_sets(gram, gain, sets, l2)
        growth = (gain - _product(gram, sets, solution)) / curvature
        growth[sets.rows, sets.columns] = 0.0
        growth.scatter_(1, items[:, None], 0.0)
        at_most = (sets.counts // 2).clamp(min=TAKEN_IN)
        most = growth.topk(min(max(sets.size // 2, TAKEN_IN), growth.shape[1]), dim=1)
        greatest = solution.new_zeros(items.numel()).scatter_reduce_(0, sets.rows, solution, "amax")
        wanted = most.values > tolerance * greatest[:, None]
        wanted &= torch.arange(wanted.shape[1], device=gram.device) < at_most[:, None]
        negative = solution < 0
        n_negative = torch.zeros_like(sets.counts).index_add_(0, sets.rows, negative.long())
        exchanged = wanted.any(dim=1) | (n_negative > 0)
        aside = failed | (exchanged & (sets.counts > limit))
        ended = ~exchanged & ~failed
        done = ended | aside
        taken = (done[sets.rows] & (solution > 0)).nonzero()[:, 0]
        columns, explained = sets.columns[taken].int(), items[sets.rows[taken]].int()
        active[sets.rows, sets.columns] = ~negative
        active.scatter_(1, most.indices, active.gather(1, most.indices) | wanted)
        going_on, left = _apart(~done, aside)
        found.append(Solved(columns, explained, solution[taken], items[left]))
        items, gain, active = items[going_on], gain[going_on], active[going_on]
        if not items.numel():
            break
    whole = joined(found)
    return whole._replace(left=torch.cat([whole.left, items]))


def _apart(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return where each of two masks is true, which never both are; a GPU is waited for once."""
    order = (2 * first.int() + second.int()).argsort(descending=True, stable=True)
    n_first, n_second = torch.stack([first.sum(), second.sum()]).tolist()
    return order[:n_first], order[n_first : n_first + n_second]


class _Sets:
    """The active sets of a batch, ragged, and where they lie when padded to one size.

    Attributes:
        rows: int64, (n_active,), which item of the batch.
        columns: int64, (n_active,), which coordinate, in rising order in an item.
        counts: int64, (n_batch,), size of each set.
        places: int64, (n_active,), position in the item's set.
    """

    def __init__(self, active: torch.Tensor) -> None:
        self.rows, self.columns = active.nonzero(as_tuple=True)
        self.counts = active.sum(dim=1)
        self.starts = self.counts.cumsum(0) - self.counts
        self.places = torch.arange(self.rows.numel(), device=active.device) - self.starts[self.rows]
        self.size = int(self.counts.max())

    def padded(self, values: torch.Tensor) -> torch.Tensor:
        """Return ragged values, zeros behind them: (n_batch, size)."""
        out = values.new_zeros(self.counts.numel(), self.size)
        out[self.rows, self.places] = values
        return out


def _solve_on_sets(
    gram: torch.Tensor, gain: torch.Tensor, sets: _Sets, l2: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return H_FF^-1 d_F, ragged, (n_active,), and which items have no such solution, bool, (n_batch,)."""
    if not sets.size:
        return gram.new_zeros(0), torch.zeros_like(sets.counts, dtype=torch.bool)
    columns, right = sets.padded(sets.columns), sets.padded(gain[sets.rows, sets.columns].double())
    if gram.numel() <= INT32_MAX:
        columns = columns.to(torch.int32)  # half the time of looking up
    solution, failed = [], []
    at_once = max(1, CELLS_AT_ONCE // sets.size**2)
    for first in range(0, columns.shape[0], at_once):
        part = slice(first, first + at_once)
        factors, info = torch.linalg.cholesky_ex(_systems(gram, columns[part], sets.counts[part], l2))
        solution.append(torch.cholesky_solve(right[part, :, None], factors)[:, :, 0])
        failed.append(info > 0)
    return torch.cat(solution)[sets.rows, sets.places].to(gram.dtype), torch.cat(failed)


def _systems(gram: torch.Tensor, columns: torch.Tensor, counts: torch.Tensor, l2: float) -> torch.Tensor:
    """Return H_FF, float64, (n_batch, size, size): the identity in the padding."""
    real = torch.arange(columns.shape[1], device=gram.device) < counts[:, None]
    cells = columns[:, :, None] * gram.shape[1] + columns[:, None, :]
    systems = gram.view(-1).index_select(0, cells.view(-1)).view(cells.shape)
    systems = systems.mul_(real[:, :, None] & real[:, None, :]).double()
    systems.diagonal(dim1=1, dim2=2).add_(torch.where(real, l2, 1.0))
    return systems


def _product(gram: torch.Tensor, sets: _Sets, solution: torch.Tensor) -> torch.Tensor:
    """Return G w, a row an item, (n_batch, n_items): a weighted sum of the rows of its set, for G is symmetric."""
    return F.embedding_bag(sets.columns, gram, sets.starts, mode="sum", per_sample_weights=solution)


def working_bytes(n_batch: int, n_items: int, limit: int) -> int:
    """Return the most bytes that solving a batch in float32 takes besides the Gram matrix and the result."""
    largest = min(limit + limit // 2, n_items)  # a set that is put aside only after it grew once more
    systems = (
        8 + 8 + 8 + 4 + 4 + 1
    )  # the system, its factor, LAPACK's copy, places, values, mask: bytes a cell
    rows = 4 * 4 + 8 + 2  # gains, products, growths and what is being made; positions of the sets; masks
    return systems * max(CELLS_AT_ONCE, largest**2) + rows * n_batch * n_items
