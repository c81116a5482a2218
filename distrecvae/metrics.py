"""Owns the ranking metrics: arrays in, one float64 value a user out. Pure NumPy; averaging is the caller's.

Definitions follow Liang et al., "Variational Autoencoders for Collaborative Filtering" (WWW 2018), section
4.2: with omega(r) the item at rank r (from 1) and I_u the held-out items of user u,

    Recall@R = |{omega(1..R)} & I_u| / min(R, |I_u|)
    NDCG@R   = sum_r [omega(r) in I_u] / log2(r + 1)  /  sum_(r <= min(R, |I_u|)) 1 / log2(r + 1)

Both are truncated: a user with more held-out items than R can still reach 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def on_validation(name: str) -> str:
    """Return a metric's key in the reports of a run, where it is over the validation users: `valid/ndcg_100`."""
    return f"valid/{name}"


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
    return np.asarray(hits[:, :k].sum(axis=1, dtype=np.int64) / reachable, dtype=np.float64)


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


METRICS = {"ndcg_100": (ndcg, 100), "recall_20": (recall, 20), "recall_50": (recall, 50)}
"""The metrics that every evaluation computes, by name: function and k; the first is what selects by default."""
RANKS = max(k for _, k in METRICS.values())
"""How far a ranking must go for all of them."""
TITLES = {"ndcg_100": "NDCG@100", "recall_20": "Recall@20", "recall_50": "Recall@50"}
"""How the metrics are written for people."""
