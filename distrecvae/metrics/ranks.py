"""The metrics of a user's ranking: arrays in, one float64 value a user out. Pure NumPy; averaging is the caller's.

With omega(r) the item at rank r (from 1), I_u the held-out items of user u and hit(r) = [omega(r) in I_u]:

    Recall@k      = sum_(r <= k) hit(r) / min(k, |I_u|)
    NDCG@k        = sum_(r <= k) hit(r) / log2(r + 1)  /  sum_(r <= min(k, |I_u|)) 1 / log2(r + 1)
    full Recall@k = sum_(r <= k) hit(r) / |I_u|
    Precision@k   = sum_(r <= k) hit(r) / k
    Hit@k         = 1 where any of the first k is a hit, else 0
    MRR@k         = 1 / rank of the first hit, 0 where it is not among the first k
    MAP@k         = sum_(r <= k) hit(r) Precision@r / min(k, |I_u|)

The first two follow Liang et al., "Variational Autoencoders for Collaborative Filtering" (WWW 2018), section 4.2. They
and MAP are truncated: a user with more held-out items than k can still reach 1. Full Recall and Precision are as
textbooks have them (Manning et al., "Introduction to Information Retrieval", 2008, chapter 8).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def ndcg(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return NDCG@k of each user, truncated as in Liang et al.: float64, (n_users,), in 0..1.

    Args:
        hits: (n_users, n_ranks) bool, whether the item at each rank is a held-out one, best rank first. Ranks
            beyond `n_ranks` count as misses.
        n_held_out: (n_users,) number of held-out items; must be positive.
        k: ranks that count; positive.

    Raises:
        ValueError: the shapes disagree, `k` is not positive, or a user has nothing held out.
    """
    ideal_ranks = _ranks_that_count(hits, n_held_out, k)
    discounts = 1.0 / np.log2(np.arange(2, k + 2, dtype=np.float64))
    gained = hits[:, :k] @ discounts[: min(k, hits.shape[1])]
    best = np.cumsum(discounts)[ideal_ranks - 1]
    return np.asarray(gained / best, dtype=np.float64)


def recall(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return Recall@k of each user, divided by min(k, held-out): float64, (n_users,), in 0..1.

    Arguments and errors are those of `ndcg`.
    """
    reachable = _ranks_that_count(hits, n_held_out, k)
    return np.asarray(_n_hits(hits, k) / reachable, dtype=np.float64)


def full_recall(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return Recall@k of each user, divided by all that is held out: float64, (n_users,), in 0..1.

    Arguments and errors are those of `ndcg`.
    """
    _ranks_that_count(hits, n_held_out, k)
    return np.asarray(_n_hits(hits, k) / n_held_out, dtype=np.float64)


def precision(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return the share of hits among the first `k` ranks of each user: float64, (n_users,), in 0..1.

    Arguments and errors are those of `ndcg`.
    """
    _ranks_that_count(hits, n_held_out, k)
    return np.asarray(_n_hits(hits, k) / k, dtype=np.float64)


def hit(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return 1 for each user with a hit among the first `k` ranks, else 0: float64, (n_users,).

    Arguments and errors are those of `ndcg`.
    """
    _ranks_that_count(hits, n_held_out, k)
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def mrr(hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int) -> Float64Array:
    """Return the reciprocal rank of each user's first hit, 0 beyond rank `k`: float64, (n_users,), in 0..1.

    Arguments and errors are those of `ndcg`.
    """
    _ranks_that_count(hits, n_held_out, k)
    counted = hits[:, :k]
    return np.where(counted.any(axis=1), 1.0 / (counted.argmax(axis=1) + 1.0), 0.0)


def mean_average_precision(
    hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int
) -> Float64Array:
    """Return each user's average precision at `k`, divided by min(k, held-out): float64, (n_users,), in 0..1.

    Arguments and errors are those of `ndcg`.
    """
    reachable = _ranks_that_count(hits, n_held_out, k)
    counted = hits[:, :k]
    at_hits = counted.cumsum(axis=1, dtype=np.int64) * counted / np.arange(1, counted.shape[1] + 1)
    return np.asarray(at_hits.sum(axis=1) / reachable, dtype=np.float64)


def _n_hits(hits: npt.NDArray[np.bool_], k: int) -> npt.NDArray[np.int64]:
    return np.asarray(hits[:, :k].sum(axis=1, dtype=np.int64))


def _ranks_that_count(
    hits: npt.NDArray[np.bool_], n_held_out: npt.NDArray[np.integer], k: int
) -> npt.NDArray[np.int64]:
    """Return min(k, n_held_out) a user, after checking what the metrics divide by."""
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
    if hits.ndim != 2 or n_held_out.shape != hits.shape[:1]:
        raise ValueError(
            f"hits has shape {hits.shape} and n_held_out {n_held_out.shape}; they must have a row a user"
        )
    if n_held_out.size and n_held_out.min() < 1:
        raise ValueError("a user has nothing held out; leave such users out, their score is not defined")
    return np.minimum(n_held_out.astype(np.int64), k)
