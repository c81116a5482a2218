"""Synthetic data with real structure: the search's demo and the tests' stand-in for a ratings file.

Items belong to clusters and follow a power law of popularity; users like a few clusters. So knowing a user's
items tells far more about the rest than popularity does, as in real data, and a good model must win by a wide
margin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import Split
from distrecvae.data.split import split_users
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError
from distrecvae.rng import stream

N_USERS, N_ITEMS, SEED = 3000, 1000, 0

_ITEMS_PER_CLUSTER = 25
_MEAN_INTERACTIONS = 40  # fewer where there are few items, so that there is something left to rank
_FIRST_SECOND, _SECONDS = 1_420_070_400, 3 * 365 * 86_400  # the three years from 2015 on
_SECONDS_BETWEEN = 20 * 86_400.0
_CHUNK_CELLS = 4_000_000  # users are drawn a block at a time, so that memory stays flat


def synthetic_table(*, n_users: int = N_USERS, n_items: int = N_ITEMS, seed: int = SEED) -> InteractionTable:
    """Return a deterministic table of `n_users` users' interactions with `n_items` items, rows in random
    order per user, which is also the order of their times.

    User u takes n_u items without replacement with weight pop_i * (theta_u . phi_i): pop_i ~ rank^-0.8, phi_i
    mostly on the item's own cluster, theta_u Dirichlet over all clusters with a small concentration. Drawing
    without replacement is the n_u largest of log weight + Gumbel noise, so whole blocks of users are drawn at
    once.

    Raises:
        ConfigError: fewer than 20 users or 50 items.
    """
    if n_users < 20 or n_items < 50:
        raise ConfigError(f"{n_users} users x {n_items} items is too small for structure; at least 20 x 50")
    random = stream(seed, "synthetic", n_users, n_items)
    n_clusters = max(4, round(n_items / _ITEMS_PER_CLUSTER))
    popularity = 1.0 / (1.0 + random.permutation(n_items)) ** 0.8
    membership = np.full((n_clusters, n_items), 0.01 / n_clusters)
    membership[random.permutation(n_items) % n_clusters, np.arange(n_items)] += 1.0
    # a second, weaker cluster joins neighbouring tastes: a linear item-item model cannot say it all
    membership[random.integers(n_clusters, size=n_items), np.arange(n_items)] += 0.3
    size = np.exp(random.normal(np.log(min(_MEAN_INTERACTIONS, n_items / 15) * 0.8), 0.6, size=n_users))
    n_taken = np.clip(size.astype(np.int64), 8, n_items // 4)

    users, items = [], []
    block = max(1, _CHUNK_CELLS // n_items)
    for start in range(0, n_users, block):
        taken = n_taken[start : start + block]
        tastes = random.dirichlet(np.full(n_clusters, 2.5 / n_clusters), size=taken.size)
        keys = np.log(tastes @ membership * popularity) + random.gumbel(size=(taken.size, n_items))
        widest = int(taken.max())
        top = np.argpartition(-keys, widest - 1, axis=1)[:, :widest]
        top = np.take_along_axis(top, np.argsort(-np.take_along_axis(keys, top, axis=1), axis=1), axis=1)
        mask = np.arange(widest) < taken[:, None]
        items.append(top[mask].astype(np.int32))
        users.append(np.repeat(np.arange(start, start + taken.size, dtype=np.int32), taken))
    source = {"format": "synthetic", "users": n_users, "items": n_items, "seed": seed}
    user_ids, item_ids = (np.arange(n, dtype=np.int64) for n in (n_users, n_items))
    rows = np.concatenate(users)
    times = _times(rows, stream(seed, "synthetic", n_users, n_items, "times"))
    return InteractionTable(rows, np.concatenate(items), None, user_ids, item_ids, source, times=times)


def _times(users: npt.NDArray[np.int32], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return whole seconds since 1970, (n_rows,): each user begins some day of three years and continues row by row."""
    begun = random.integers(_FIRST_SECOND, _FIRST_SECOND + _SECONDS, size=int(users[-1]) + 1)
    since = np.cumsum(np.ceil(random.exponential(_SECONDS_BETWEEN, size=users.size)))
    first = np.searchsorted(users, np.arange(int(users[-1]) + 1))
    times: npt.NDArray[np.float64] = (begun - since[first])[users] + since
    return times


def synthetic_split(
    *,
    n_users: int = N_USERS,
    n_items: int = N_ITEMS,
    seed: int = SEED,
    held_out_users: int | float | None = None,
) -> Split:
    """Return the split of `synthetic_table` under the published protocol; the same arguments give the same
    fingerprint.

    Args:
        n_users: users in all.
        n_items: items in all; the split has those that a training user took.
        seed: of the data; the protocol keeps its own seed.
        held_out_users: validation users, and as many test users: a count or a fraction; None is the
            protocol's default.

    Raises:
        ConfigError, DataError: sizes too small to have structure or to hold out.
    """
    options = SplitOptions() if held_out_users is None else SplitOptions(held_out_users=held_out_users)
    return split_users(synthetic_table(n_users=n_users, n_items=n_items, seed=seed), options)[0]
