"""Scores held-out users in batches, ranks, and keeps the metrics of each user."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.kernels.precision import fast_float32
from distrecvae.metrics import METRICS, Float64Array, Metric, metric_of, require_metrics
from distrecvae.metrics.lists import novelty
from distrecvae.ranking import flat, found, hits_of, rank, without_shown

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
        overall: by metric name, what is one value of all lists together, not one a user.
    """

    per_user: Mapping[str, Float64Array]
    users: npt.NDArray[np.int64]
    n_skipped: int
    overall: Mapping[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics that were computed, in order."""
        return (*self.per_user, *self.overall)

    @property
    def n_evaluated(self) -> int:
        """Users that count in the means."""
        return self.users.size

    def mean(self, name: str) -> float:
        """Return the metric `name`, a mean over the evaluated users or one value of all; not a number over none."""
        if name in self.overall:
            return self.overall[name]
        values = self.per_user[name]
        return float(values.mean()) if values.size else math.nan

    def standard_error(self, name: str) -> float:
        """Return the standard error of that mean (deviation over sqrt(n), as published).

        It is not a number over no users, and for what is one value of all lists.
        """
        if name in self.overall:
            return math.nan
        values = self.per_user[name]
        return float(values.std() / math.sqrt(values.size)) if values.size else math.nan

    def means(self) -> dict[str, float]:
        """Return the means of all metrics by name."""
        return {name: self.mean(name) for name in self.names}

    def summary(self) -> dict[str, Any]:
        """Return a JSON-able report: means and standard errors, None where there is none; the counts of users."""
        return {
            "mean": {name: _known(self.mean(name)) for name in self.names},
            "standard_error": {name: _known(self.standard_error(name)) for name in self.names},
            "n_evaluated": self.n_evaluated,
            "n_skipped": self.n_skipped,
        }


@dataclass(frozen=True)
class Scoring:
    """What is computed of rankings.

    Attributes:
        metrics: in the order of the reports.
        popularity: float64, (n_items,), the share of training users who have each item, above 0; None where no metric
            asks for it.
    """

    metrics: tuple[Metric, ...]
    popularity: Float64Array | None = None

    @classmethod
    def of(cls, names: Sequence[str], train: InteractionMatrix) -> Scoring:
        """Return the scoring by metrics of these names, of models that know the items of `train`.

        Raises:
            ConfigError: there is no such metric, or its cut-off is beyond the catalogue.
        """
        require_metrics(names, train.n_items)
        # An item that no training user has is as rare as one that a single user has: its surprise stays finite.
        popularity = np.maximum(train.item_counts(), 1) / max(train.n_users, 1)
        return cls(tuple(metric_of(name) for name in names), popularity.astype(np.float64))


PUBLISHED = Scoring(tuple(metric_of(name) for name in METRICS))
"""NDCG@100, Recall@20, Recall@50."""
MANY_RANKS = 1000
"""Hits at so many ranks are kept for all users; metrics that count more are computed a batch at a time."""


@dataclass(frozen=True)
class Beyond:
    """What there is beyond a model's items.

    Attributes:
        held_out: int64, (n_users,), each user's held-out items that cannot be found: misses.
        n_items: items that are never recommended.
    """

    held_out: npt.NDArray[np.int64]
    n_items: int


def evaluate(
    model: Recommender,
    users: HeldOutUsers,
    scoring: Scoring = PUBLISHED,
    *,
    batch_size: int | None = None,
    beyond: Beyond | None = None,
) -> Evaluation:
    """Score `users` and return the metrics of each one with something folded in and something held out.

    Memory is that of one batch of scores, `batch_size` x n_items: what was shown and what is to be found are marked
    in it. Beyond 32 MiB the C library gives and takes fresh pages for every batch, which costs more than the ranking.
    It decides nothing but speed; None is `BATCH_USERS`, or `GPU_BATCH_USERS` where the first scores lie on a GPU.
    `beyond` is what counts and cannot be found.

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
    sought = held_out.counts() + (0 if beyond is None else beyond.held_out[counted])
    tally = _Tally(scoring, sought, users.n_items)
    start, size = 0, batch_size or BATCH_USERS
    while start < counted.size:
        stop = min(start + size, counted.size)
        shown = fold_in.slice(start, stop)
        with fast_float32():
            scores = flat(model.score(shown))
        tally.take(start, scores, shown, held_out.slice(start, stop))
        start, size = stop, batch_size or users_at_once(scores)
        del scores  # or two batches of them would live while the next one is scored
    never = 0 if beyond is None else beyond.n_items
    return tally.evaluation(counted, users.n_users - counted.size, never)


class _Tally:
    """What the rankings of the batches gave so far."""

    def __init__(self, scoring: Scoring, n_held_out: npt.NDArray[np.int64], n_items: int) -> None:
        self._scoring, self._n_held_out, self._n_items = scoring, n_held_out, n_items
        depths = {each.name: n_items if each.k is None else min(each.k, n_items) for each in scoring.metrics}
        self._depths, self._depth = depths, max(depths.values())
        self._near = [each for each in scoring.metrics if each.of_ranks and depths[each.name] <= MANY_RANKS]
        self._far = [each for each in scoring.metrics if each.of_ranks and each not in self._near]
        kept = max((depths[each.name] for each in self._near), default=0)
        self._hits = np.zeros((n_held_out.size, kept), dtype=np.bool_)
        self._values = {each.name: np.zeros(n_held_out.size) for each in scoring.metrics}
        self._counts = {
            each.name: np.zeros(n_items, np.int64) for each in scoring.metrics if each.of_catalogue
        }

    def take(
        self, start: int, scores: torch.Tensor, shown: InteractionMatrix, hidden: InteractionMatrix
    ) -> None:
        """Rank the users from position `start` on; `scores` are overwritten."""
        rows = slice(start, start + shown.n_users)
        if all(each in self._near for each in self._scoring.metrics):
            self._hits[rows] = found(scores, shown, hidden, self._hits.shape[1])
            return
        items = rank(scores, shown, self._depth)
        hits = hits_of(items, hidden)
        self._hits[rows] = hits[:, : self._hits.shape[1]]
        for each in self._far:
            assert each.of_ranks is not None  # noqa: S101  (that is what makes it one of them)
            k = each.k or self._n_items
            self._values[each.name][rows] = each.of_ranks(hits, self._n_held_out[rows], k)
        lists = without_shown(items, shown)
        for each in self._scoring.metrics:
            if each.of_catalogue is not None:
                there = lists[:, : self._depths[each.name]]
                self._counts[each.name] += np.bincount(there[there >= 0], minlength=self._n_items)
            elif each.of_ranks is None:
                assert self._scoring.popularity is not None, "a scoring by names has it"  # noqa: S101
                told = novelty(lists[:, : self._depths[each.name]], self._scoring.popularity)
                self._values[each.name][rows] = told

    def evaluation(self, users: npt.NDArray[np.int64], n_skipped: int, n_never: int) -> Evaluation:
        """Return the metrics, once all users were taken; `n_never` items of the catalogue are never recommended."""
        for each in self._near:
            assert each.of_ranks is not None  # noqa: S101
            self._values[each.name] = each.of_ranks(self._hits, self._n_held_out, each.k or self._n_items)
        overall = {
            each.name: each.of_catalogue(np.pad(self._counts[each.name], (0, n_never)))
            if users.size
            else math.nan
            for each in self._scoring.metrics
            if each.of_catalogue is not None
        }
        per_user = {name: values for name, values in self._values.items() if name not in overall}
        return Evaluation(per_user, users, n_skipped, overall)


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


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _scorable(users: HeldOutUsers) -> npt.NDArray[np.int64]:
    """Return the positions of the users with something folded in and something held out."""
    return np.flatnonzero((users.fold_in.counts() > 0) & (users.held_out.counts() > 0))


def users_at_once(scores: torch.Tensor) -> int:
    """Return how many users are best scored at a time where `scores` are."""
    return GPU_BATCH_USERS if scores.is_cuda else BATCH_USERS
