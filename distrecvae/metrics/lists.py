"""The metrics of what is recommended to all users together: how much of the catalogue, how evenly, how unexpected.

They look at lists, not at hits: nothing in them says that a list is any good. With L_u the first k items that user u is
recommended (never one of the fold-in), c_i the number of lists that item i is in, n the number of items:

    coverage@k = |{i : c_i > 0}| / n
    Gini@k     = sum_j (2 j - n - 1) c_(j) / (n sum_j c_(j)),  c_(1) <= ... <= c_(n)
    novelty@k  = mean over i in L_u of -log2 p_i,  p_i the share of training users who have item i

Coverage and Gini index: Shani and Gunawardana, "Evaluating Recommendation Systems" (2011), section 8.3.3; a Gini index
of 0 says that all items are recommended equally often, one near 1 that a few items are all that is. Novelty: Zhou et
al., "Solving the apparent diversity-accuracy dilemma of recommender systems" (PNAS 2010), in bits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.metrics.ranks import Float64Array


def coverage(counts: npt.NDArray[np.int64]) -> float:
    """Return the share of the catalogue that is in any list; `counts`, int64 (n_items,), has the lists of each item.

    Raises:
        ValueError: there is no item.
    """
    if not counts.size:
        raise ValueError("there is no item, and so no share of them")
    return float(np.count_nonzero(counts) / counts.size)


def gini(counts: npt.NDArray[np.int64]) -> float:
    """Return the Gini index of how often items are in lists, 0..1; not a number where nothing is recommended.

    Args:
        counts: int64, (n_items,), the lists that each item is in.
    """
    total = int(counts.sum())
    if not total:
        return float("nan")
    weights = 2.0 * np.arange(1, counts.size + 1) - counts.size - 1.0
    return float(weights @ np.sort(counts) / (counts.size * total))


def novelty(lists: npt.NDArray[np.int64], popularity: Float64Array) -> Float64Array:
    """Return the mean self-information of each user's list in bits: float64, (n_users,); NaN of an empty list.

    Args:
        lists: int64, (n_users, n_ranks), items, best first; -1 where a list is shorter.
        popularity: float64, (n_items,), the share of training users who have each item; above 0.
    """
    there = lists >= 0
    bits = np.where(there, -np.log2(popularity)[lists], 0.0)
    with np.errstate(invalid="ignore"):
        return np.asarray(bits.sum(axis=1) / there.sum(axis=1), dtype=np.float64)
