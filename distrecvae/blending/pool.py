"""The pool that weights are chosen on: of each user the items that any candidate ranks high, and their scores.

An item that no candidate has among a user's first `POOL_RANKS` hardly gets among the first hundred of a blend; the rest
of a large catalogue would only cost memory and time. What is reported of a blend is measured over all items
(`mixtures`), never on the pool.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distrecvae.blending.mixtures import Told, comparable_batches, part_of, scorable
from distrecvae.data.dataset import HeldOutUsers
from distrecvae.evaluation import Recommender
from distrecvae.metrics import RANKS, metric_of

POOL_RANKS = 3 * RANKS
"""How deep each candidate's ranking goes into the pool."""
MOST_USERS = 3000
"""Users that weights are chosen on; a handful of weights needs no more of them."""


@dataclass(frozen=True, eq=False)
class Pool:
    """Comparable scores of candidates, for the items that can matter.

    Attributes:
        scores: float32, (n_candidates, n_users, width); -inf where a user's pool is smaller.
        wanted: bool, (n_users, width), whether the item is held out.
        n_held_out: int64, (n_users,), all of a user's held-out items.
        deviations: float64, (n_candidates,), of a user's comparable scores over all items, a mean over users.
    """

    scores: npt.NDArray[np.float32]
    wanted: npt.NDArray[np.bool_]
    n_held_out: npt.NDArray[np.int64]
    deviations: npt.NDArray[np.float64]

    @property
    def n_candidates(self) -> int:
        """Number of candidates."""
        return len(self.scores)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.n_held_out)

    def per_user(self, weights: Sequence[float], metric: str) -> npt.NDArray[np.float64]:
        """Return each user's metric under a blend with these weights, one a candidate: float64, (n_users,)."""
        total = np.zeros(self.wanted.shape, dtype=np.float32)
        for weight, scores in zip(weights, self.scores, strict=True):
            if weight:
                total += np.float32(weight) * scores
        found = metric_of(metric)
        assert found.of_ranks is not None, "a blend is chosen by a value a user"  # noqa: S101
        width = self.wanted.shape[1]
        k = width if found.k is None else found.k
        depth = min(k, width)
        best = np.argpartition(-total, depth - 1, axis=1)[:, :depth]
        values = np.take_along_axis(total, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        hits = np.take_along_axis(self.wanted, best, axis=1)
        return found.of_ranks(hits, self.n_held_out, k)


def make_pool(
    members: Sequence[Recommender], rule: str, users: HeldOutUsers, told: Told = lambda _done, _all: None
) -> Pool:
    """Return the pool of the first `MOST_USERS` users who can be scored; users of a split come in no order.

    Args:
        members: the candidates.
        rule: by which their scores are made comparable.
        users: validation users.
        told: of the users that are done.
    """
    kept = part_of(users, scorable(users)[:MOST_USERS])
    pieces: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]] = []
    done, deviations = 0, np.zeros(len(members))
    for batch, tensor in comparable_batches(members, rule, kept):
        scores = tensor.numpy()
        cells = np.repeat(np.arange(batch.n_users), batch.fold_in.counts())
        scores[:, cells, batch.fold_in.indices] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a user who has everything has no deviation
            deviations += np.nansum(np.nanstd(scores, axis=2), axis=1)
        scores[:, cells, batch.fold_in.indices] = -np.inf
        depth = min(POOL_RANKS, scores.shape[2])
        high = np.zeros(scores.shape[1:], dtype=np.bool_)
        for each in scores:
            np.put_along_axis(high, np.argpartition(-each, depth - 1, axis=1)[:, :depth], True, axis=1)
        width = int(high.sum(axis=1).max(initial=0))
        items = np.argsort(~high, axis=1, kind="stable")[:, :width]
        held_out = np.zeros(high.shape, dtype=np.bool_)
        held_out[np.repeat(np.arange(batch.n_users), batch.held_out.counts()), batch.held_out.indices] = True
        outside = ~np.take_along_axis(high, items, axis=1)
        taken = np.stack([np.take_along_axis(each, items, axis=1) for each in scores])
        taken[:, outside] = -np.inf
        pieces.append((taken, np.take_along_axis(held_out, items, axis=1) & ~outside))
        done += batch.n_users
        told(done, kept.n_users)
    width = max((wanted.shape[1] for _, wanted in pieces), default=0)
    return Pool(
        np.concatenate([_padded(scores, width, -np.inf) for scores, _ in pieces], axis=1),
        np.concatenate([_padded(wanted, width, False) for _, wanted in pieces], axis=0),
        kept.held_out.counts(),
        deviations / max(kept.n_users, 1),
    )


def _padded(values: npt.NDArray[np.generic], width: int, fill: float | bool) -> npt.NDArray[np.generic]:
    room = [(0, 0)] * (values.ndim - 1) + [(0, width - values.shape[-1])]
    return np.pad(values, room, constant_values=fill)
