"""Owns evaluation: score users in batches, mask what they were shown, rank, keep the metrics of each user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.kernels.precision import fast_float32
from distrecvae.kernels.transfer import onto
from distrecvae.metrics import METRICS, RANKS, Float64Array

BATCH_USERS = 200
"""Users scored at a time: 32 MiB of scores for 40,000 items."""
GPU_BATCH_USERS = 2000
"""The same on a GPU, which is waited for once for all of them."""


class Recommender(Protocol):
    """Scores items for users it has never seen, from what they did: strong generalization by type."""

    @property
    def n_items(self) -> int:
        """Number of items it can score."""

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        """Return float32 scores, (n_users, n_items), on any device; finite, higher is better, nothing masked.

        The caller may overwrite the tensor. A user's scores do not depend on who else is in `fold_in`.
        """


@dataclass(frozen=True)
class Evaluation:
    """The metrics of each evaluated user.

    Attributes:
        per_user: by metric name, float64 of shape (n_evaluated,), in the order of `users`.
        users: int64, (n_evaluated,), positions of the evaluated users among those given.
        n_skipped: users left out because nothing was held out or nothing was left to fold in.
    """

    per_user: Mapping[str, Float64Array]
    users: npt.NDArray[np.int64]
    n_skipped: int

    @property
    def n_evaluated(self) -> int:
        """Users that count in the means."""
        return self.users.size

    def mean(self, name: str) -> float:
        """Return the mean of the metric `name` over the evaluated users; not a number where there are none."""
        values = self.per_user[name]
        return float(values.mean()) if values.size else math.nan

    def standard_error(self, name: str) -> float:
        """Return the standard error of that mean (deviation over sqrt(n), as published), or not a number, too."""
        values = self.per_user[name]
        return float(values.std() / math.sqrt(values.size)) if values.size else math.nan

    def means(self) -> dict[str, float]:
        """Return the means of all metrics by name."""
        return {name: self.mean(name) for name in self.per_user}

    def summary(self) -> dict[str, Any]:
        """Return a JSON-able report: means and standard errors by metric, None over no users; the counts of users."""
        some = self.n_evaluated > 0
        return {
            "mean": {name: self.mean(name) if some else None for name in self.per_user},
            "standard_error": {name: self.standard_error(name) if some else None for name in self.per_user},
            "n_evaluated": self.n_evaluated,
            "n_skipped": self.n_skipped,
        }


def evaluate(model: Recommender, users: HeldOutUsers, *, batch_size: int | None = None) -> Evaluation:
    """Score `users` and return the metrics of each one with something folded in and something held out.

    Memory is that of one batch of scores, `batch_size` x n_items: what was shown and what is to be found are marked
    in it. Beyond 32 MiB the C library gives and takes fresh pages for every batch, which costs more than the ranking.
    It decides nothing but speed; None is `BATCH_USERS`, or `GPU_BATCH_USERS` where the first scores lie on a GPU.

    Raises:
        DataError: the model and the users disagree about the number of items.
        DivergedError: a score is not finite.
    """
    if model.n_items != users.n_items:
        raise DataError(
            f"the model knows {model.n_items} items and the users have {users.n_items}; they must agree"
        )
    counted = _scorable(users)
    fold_in, held_out = users.fold_in, users.held_out
    if counted.size < users.n_users:
        fold_in, held_out = fold_in.take(counted), held_out.take(counted)
    hits = np.zeros((counted.size, min(RANKS, users.n_items)), dtype=np.bool_)
    start, size = 0, batch_size or BATCH_USERS
    while start < counted.size:
        stop = min(start + size, counted.size)
        shown = fold_in.slice(start, stop)
        with fast_float32():
            scores = _flat(model.score(shown))
        hits[start:stop] = found(scores, shown, held_out.slice(start, stop), hits.shape[1])
        start, size = stop, batch_size or users_at_once(scores)
        del scores  # or two batches of them would live while the next one is scored
    per_user = {name: metric(hits, held_out.counts(), k) for name, (metric, k) in METRICS.items()}
    return Evaluation(per_user, counted, users.n_users - counted.size)


def require_scorable(users: HeldOutUsers, group: str) -> None:
    """Refuse to choose by users of whom none can be scored.

    Args:
        users: the held-out users to choose by.
        group: what they are called, such as `validation`.

    Raises:
        DataError: none has both something folded in and something held out.
    """
    if not _scorable(users).size:
        raise DataError(
            f"none of the {users.n_users} {group} users has items to fold in and items to find, and a model is chosen"
            " by their scores; hold out more users, or users with more items"
        )


def _scorable(users: HeldOutUsers) -> npt.NDArray[np.int64]:
    """Return the positions of the users with something folded in and something held out."""
    return np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))


def users_at_once(scores: torch.Tensor) -> int:
    """Return how many users are best scored at a time where `scores` are."""
    return GPU_BATCH_USERS if scores.is_cuda else BATCH_USERS


def rank(scores: torch.Tensor, fold_in: InteractionMatrix, k: int) -> npt.NDArray[np.int64]:
    """Return each user's `k` best items, best first, those of `fold_in` last: int64, (n_users, k).

    Equal scores are ordered by item position, on every device, so a ranking is a function of the scores alone.
    `scores`, float32 (n_users, n_items), is overwritten; where there are fewer than `k` items, all are ranked.

    Raises:
        DivergedError: a score is not finite.
    """
    scores = _flat(scores)
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
    scores = _flat(scores)
    if not scores.numel():
        return np.zeros((scores.shape[0], min(k, scores.shape[1])), dtype=np.bool_)
    ranking = _rank(scores, fold_in, k)
    # Scores that are ranked have no further use, unless some are tied: infinity marks the cells to be found.
    cells, flat = _cells(held_out, scores.device), scores.view(-1)
    sought = flat[cells]
    flat[cells] = math.inf
    hits, tied = ranking.told(scores.gather(1, ranking.items) == math.inf)
    if tied.size:
        flat[cells] = sought
        items = _in_order(scores, ranking.values, tied)
        flat[cells] = math.inf
        rows = torch.from_numpy(tied).to(scores.device)
        hits[tied] = (scores[rows].gather(1, items) == math.inf).cpu().numpy()
    return hits


def _flat(scores: torch.Tensor) -> torch.Tensor:
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
    ):  # which would have to be waited for to put ties right: equal ones come by position at once
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
