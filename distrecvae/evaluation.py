"""Owns evaluation: score users in batches, mask what they were shown, rank, keep the metrics of each user."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.metrics import METRICS, RANKS, Float64Array


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
        """Return the mean of the metric `name` over the evaluated users; 0 where there are none."""
        values = self.per_user[name]
        return float(values.mean()) if values.size else 0.0

    def standard_error(self, name: str) -> float:
        """Return the standard error of that mean (deviation over sqrt(n), as published); 0 for no users."""
        values = self.per_user[name]
        return float(values.std() / math.sqrt(values.size)) if values.size else 0.0

    def means(self) -> dict[str, float]:
        """Return the means of all metrics by name."""
        return {name: self.mean(name) for name in self.per_user}

    def summary(self) -> dict[str, Any]:
        """Return a JSON-able report: means and standard errors by metric, and the counts of users."""
        return {
            "mean": self.means(),
            "standard_error": {name: self.standard_error(name) for name in self.per_user},
            "n_evaluated": self.n_evaluated,
            "n_skipped": self.n_skipped,
        }


def evaluate(model: Recommender, users: HeldOutUsers, *, batch_size: int = 500) -> Evaluation:
    """Score `users` and return the metrics of each one with something folded in and something held out.

    Memory is that of one batch of scores, `batch_size` x n_items; held-out items are looked up in their
    sorted CSR.

    Raises:
        DataError: the model and the users disagree about the number of items.
        DivergedError: a score is not finite.
    """
    if model.n_items != users.n_items:
        raise DataError(
            f"the model knows {model.n_items} items and the users have {users.n_items}; they must agree"
        )
    counted = np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))
    hits = np.zeros((counted.size, min(RANKS, users.n_items)), dtype=np.bool_)
    for start in range(0, counted.size, batch_size):
        batch = counted[start : start + batch_size]
        fold_in, held_out = users.fold_in.take(batch), users.held_out.take(batch)
        ranked = rank(model.score(fold_in), fold_in, hits.shape[1])
        hits[start : start + batch_size] = _contains(held_out, ranked)
    n_held_out = users.held_out.counts()[counted]
    per_user = {name: metric(hits, n_held_out, k) for name, (metric, k) in METRICS.items()}
    return Evaluation(per_user, counted, users.n_users - counted.size)


def rank(scores: torch.Tensor, fold_in: InteractionMatrix, k: int) -> npt.NDArray[np.int64]:
    """Return each user's `k` best items, best first, those of `fold_in` last: int64, (n_users, k).

    Equal scores are ordered by item position, on every device, so a ranking is a function of the scores
    alone. `scores`, (n_users, n_items), is overwritten.

    Raises:
        DivergedError: a score is not finite.
    """
    # The extremes tell as much as every score (NaN is both of them) for a tenth of the time.
    if scores.numel() and not bool(torch.isfinite(torch.stack(scores.aminmax())).all()):
        raise DivergedError("the model gave a score that is not finite; its training diverged")
    rows = torch.from_numpy(np.repeat(np.arange(fold_in.n_users), fold_in.counts())).to(scores.device)
    columns = torch.from_numpy(fold_in.indices.astype(np.int64)).to(scores.device)
    scores[rows, columns] = -math.inf
    best = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    items = best.indices[:, :k].sort(dim=1).values
    if best.values.shape[1] > k:
        # Of the items that tie for the last place topk may take any; rows with such a tie are sorted in full.
        tied = torch.nonzero(best.values[:, k - 1] == best.values[:, k]).flatten()
        if tied.numel():
            in_order = scores[tied].sort(dim=1, descending=True, stable=True).indices
            items[tied] = in_order[:, :k].sort(dim=1).values
    order = scores.gather(1, items).sort(dim=1, descending=True, stable=True).indices
    return items.gather(1, order).cpu().numpy()


def _contains(matrix: InteractionMatrix, items: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether row u of `matrix` has each item of ``items[u]``: bool, shape of `items`."""
    if not matrix.n_interactions:
        return np.zeros(items.shape, dtype=np.bool_)
    rows = np.arange(matrix.n_users, dtype=np.int64)
    cells = np.repeat(rows, matrix.counts()) * matrix.n_items + matrix.indices
    wanted = rows[:, None] * matrix.n_items + items
    found = np.searchsorted(cells, wanted.ravel())
    return np.asarray(cells[np.minimum(found, cells.size - 1)] == wanted.ravel()).reshape(items.shape)
