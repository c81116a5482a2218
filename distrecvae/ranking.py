"""Ranks the items of a batch of users by score, what they were shown masked: exact, ties by position, on any device."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DivergedError
from distrecvae.kernels.transfer import onto


def rank(scores: torch.Tensor, fold_in: InteractionMatrix, k: int) -> npt.NDArray[np.int64]:
    """Return each user's `k` best items, best first, those of `fold_in` last: int64, (n_users, k).

    Equal scores are ordered by item position, on every device, so a ranking is a function of the scores alone.
    `scores`, float32 (n_users, n_items), is overwritten; where there are fewer than `k` items, all are ranked.

    Raises:
        DivergedError: a score is not finite.
    """
    scores = flat(scores)
    if not scores.numel():
        return np.empty((scores.shape[0], min(k, scores.shape[1])), dtype=np.int64)
    ranking = _rank(scores, fold_in, k)
    items, tied = ranking.told(ranking.items)
    if tied.size:
        items[tied] = _in_order(scores, ranking.values, tied).cpu().numpy()
    return items


def found(
    scores: torch.Tensor, fold_in: InteractionMatrix, held_out: InteractionMatrix, k: int
) -> npt.NDArray[np.bool_]:
    """Return whether each user's item at each of the `k` best ranks is held out: bool, (n_users, k), for `metrics`.

    `scores`, (n_users, n_items), are ranked as `rank` does, and overwritten.

    Raises:
        DivergedError: a score is not finite.
    """
    scores = flat(scores)
    if not scores.numel():
        return np.zeros((scores.shape[0], min(k, scores.shape[1])), dtype=np.bool_)
    ranking = _rank(scores, fold_in, k)
    # Scores that are ranked have no further use, unless some are tied: infinity marks the cells to be found.
    cells, line = _cells(held_out, scores.device), scores.view(-1)
    sought = line[cells]
    line[cells] = math.inf
    hits, tied = ranking.told(scores.gather(1, ranking.items) == math.inf)
    if tied.size:
        line[cells] = sought
        items = _in_order(scores, ranking.values, tied)
        line[cells] = math.inf
        rows = torch.from_numpy(tied).to(scores.device)
        hits[tied] = (scores[rows].gather(1, items) == math.inf).cpu().numpy()
    return hits


def hits_of(items: npt.NDArray[np.int64], held_out: InteractionMatrix) -> npt.NDArray[np.bool_]:
    """Return whether each item of a ranking is held out, as `found` does it: bool, (n_users, k).

    Args:
        items: int64, (n_users, k), as `rank` gives them.
        held_out: what is to be found, a row a user.
    """
    first = np.arange(held_out.n_users, dtype=np.int64) * held_out.n_items
    sought = np.repeat(first, held_out.counts()) + held_out.indices
    cells = (items + first[:, None]).ravel()
    if not sought.size:
        return np.zeros(items.shape, dtype=np.bool_)
    # Rows and columns rise: the cells that are sought are in order.
    places = np.minimum(np.searchsorted(sought, cells), sought.size - 1)
    return np.asarray((sought[places] == cells).reshape(items.shape))


def without_shown(items: npt.NDArray[np.int64], fold_in: InteractionMatrix) -> npt.NDArray[np.int64]:
    """Return a ranking as lists: int64, (n_users, k), -1 in place of the items of `fold_in`, which are ranked last."""
    left = fold_in.n_items - fold_in.counts()
    return np.where(np.arange(items.shape[1]) < left[:, None], items, -1)


def flat(scores: torch.Tensor) -> torch.Tensor:
    """Return `scores` as one block of memory that NumPy may share: no copy where they are one already."""
    return scores.detach().contiguous()


class _Ranking(NamedTuple):
    """A ranking on its device, which was not waited for.

    Attributes:
        items: int64, (n_users, k), best first.
        values: (n_users, k), the scores of `items`.
        tied: bool, (n_users,), whether equal scores leave some places undecided.
        finite: bool, a scalar, whether all scores are.
    """

    items: torch.Tensor
    values: torch.Tensor
    tied: torch.Tensor
    finite: torch.Tensor

    def told(self, answer: torch.Tensor) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Return `answer`, (n_users, k), and the users that are tied, in one copy: the host waits but once.

        Raises:
            DivergedError: a score is not finite.
        """
        flags = torch.stack([self.tied, self.finite.expand_as(self.tied)], dim=1)
        whole = torch.cat([answer, flags.to(answer.dtype)], dim=1).cpu().numpy()
        if not whole[:, -1].all():
            raise DivergedError("the model gave a score that is not finite; its training diverged")
        return whole[:, :-2], np.flatnonzero(whole[:, -2])


def _rank(scores: torch.Tensor, fold_in: InteractionMatrix, k: int) -> _Ranking:
    """Return the ranking of `scores`, which are contiguous and of which those of `fold_in` are overwritten."""
    k = min(k, scores.shape[1])
    # The extremes tell as much as every score (NaN is both of them) for a tenth of the time.
    finite = torch.isfinite(torch.stack(scores.aminmax())).all()
    scores.view(-1)[_cells(fold_in, scores.device)] = -math.inf
    # One more than asked for, to see whether the last place is tied.
    items = _largest(scores, min(k + 1, scores.shape[1]))
    if (
        scores.is_cuda
    ):  # it would have to be waited for to put ties right: equal ones come by position at once
        items = items.sort(dim=1).values
        values, order = _falling(scores.gather(1, items))
        tied = values[:, k:].eq(values[:, k - 1 : k]).any(dim=1)
    else:
        values, order = scores.gather(1, items).sort(dim=1, descending=True)
        tied = (values[:, 1:] == values[:, :-1]).any(dim=1)
    return _Ranking(items.gather(1, order)[:, :k], values[:, :k], tied, finite)


def _falling(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return each row's values in falling order, equal ones in the order they had, and their positions."""
    # Adding 0 makes -0 a 0, which it equals: a radix sort, as GPUs have, may tell their bits apart.
    return (values + 0.0).sort(dim=1, descending=True, stable=True)


def _largest(scores: torch.Tensor, k: int) -> torch.Tensor:
    """Return `k` items of each row, none of the others being greater: int64, (n_rows, k), in any order.

    A row is cut into groups of `size` items and a tail. Only the k groups with the greatest maxima, and the tail, are
    looked into, and that is exact: were an item elsewhere greater than the k-th found, then so were its group's
    maximum and those of the k groups, and they alone are k items greater than the k-th. Item i is in group
    i % n_groups, so that maxima are taken of whole runs of memory, not within them.
    """
    n_items = scores.shape[1]
    # n_items / size maxima and size * k items are to be searched; the latter cost about twice as much each.
    size = math.isqrt(n_items // (2 * k))
    if size < 2:
        return _top(scores, k)
    n_groups = n_items // size
    grouped = scores[:, : size * n_groups].view(-1, size, n_groups)
    groups = _top(grouped.amax(dim=1), k)
    firsts = torch.arange(0, size * n_groups, n_groups, device=scores.device)
    tail = torch.arange(size * n_groups, n_items, device=scores.device)
    items = torch.cat(((groups[:, None] + firsts[:, None]).flatten(1), tail.expand(len(scores), -1)), dim=1)
    return items.gather(1, _top(scores.gather(1, items), k))


def _top(values: torch.Tensor, k: int) -> torch.Tensor:
    """Return the positions of the `k` largest values of each row, int64, (n_rows, k), in any order."""
    if values.device.type != "cpu":
        return values.topk(k, dim=1, sorted=False).indices
    # NumPy's is a vectorized quickselect: measured four times as fast as topk on one core of a recent CPU.
    return torch.from_numpy(np.argpartition(values.numpy(), -k, axis=1)[:, -k:])


def _in_order(scores: torch.Tensor, values: torch.Tensor, users: npt.NDArray[np.int64]) -> torch.Tensor:
    """Return the best items of `users`, equal ones by position: int64, (n_rows, k).

    `values`, (n_users, k), are each user's k greatest scores in falling order; whose they are may be undecided.
    """
    rows = torch.from_numpy(users).to(scores.device)
    scores, values = scores[rows], values[rows]
    k, last = values.shape[1], values[:, -1:]
    level = scores == last
    # Of the items at the last place's score, the first ones fill what those above it leave.
    left = k - (values > last).sum(dim=1, keepdim=True)
    level &= level.cumsum(dim=1, dtype=torch.int32) <= left
    items = (level | (scores > last)).nonzero()[:, 1].view(-1, k)
    return items.gather(1, _falling(scores.gather(1, items))[1])


def _cells(matrix: InteractionMatrix, device: torch.device) -> torch.Tensor:
    """Return where the interactions are in a flattened users x items array: int64, (n_interactions,)."""
    first = np.arange(matrix.n_users, dtype=np.int64) * matrix.n_items
    return onto(torch.from_numpy(np.repeat(first, matrix.counts()) + matrix.indices), device)
