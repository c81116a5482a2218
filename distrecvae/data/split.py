"""The strong-generalization split: a table of interactions in, a Split and its counts out.

This is the pre-processing published with Mult-VAE (Liang et al., WWW 2018) and used unchanged by RecVAE
(Shenbin et al., WSDM 2020), to the last row: the same legacy NumPy streams, consumed in the same order. Only
the random draws are made one user at a time, since each consumes the stream; everything else is whole-array
work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers, Split
from distrecvae.data.days.matching import Groups, divide_alike
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

IntArray = npt.NDArray[np.integer]

# In the published code a held-out user with fewer items is folded in whole: nothing of it is held out.
MIN_ITEMS_TO_HOLD_OUT = 5


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How a table becomes a Split; the defaults of `distrecvae prepare` live here.

    Attributes:
        min_rating: keep rows whose rating is strictly greater, as the published code does (`rating > 3.5`);
            None keeps every row.
        min_user_interactions: users with fewer interactions are dropped, after items are.
        min_item_interactions: items with fewer interactions are dropped, once, before users are; 0 keeps all.
        held_out_users: validation users, and as many test users: a count, or a fraction of all users (a float
            below 0.5).
        held_out_fraction: share of a held-out user's interactions that is to be predicted, rounded down.
        seed: seed of the legacy NumPy generator (0 to 2^32 - 1).

    Raises:
        ConfigError: a value is out of its range.
    """

    min_rating: float | None = None
    min_user_interactions: int = 5
    min_item_interactions: int = 0
    held_out_users: int | float = 0.1
    held_out_fraction: float = 0.2
    seed: int = 98765

    def __post_init__(self) -> None:
        if self.min_rating is not None and not math.isfinite(self.min_rating):
            raise ConfigError(
                f"min_rating is {self.min_rating}; it must be a finite number, or left out to keep every row"
            )
        for name in ("min_user_interactions", "min_item_interactions"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        held_out = self.held_out_users
        if isinstance(held_out, float) and not 0 < held_out < 0.5:
            raise ConfigError(
                f"held_out_users is {held_out}; a fraction must lie between 0 and 0.5 (a count has no point)"
            )
        if isinstance(held_out, int) and held_out < 1:
            raise ConfigError(f"held_out_users is {held_out}; at least one user must be held out")
        if not 0 < self.held_out_fraction < 1:
            raise ConfigError(f"held_out_fraction is {self.held_out_fraction}; it must lie between 0 and 1")
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed is {self.seed}; the legacy NumPy generator takes 0 to {2**32 - 1}")


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What happened on the way from the source's rows to the split, in order; every number is a count.

    `users_known` are those of an earlier data set, who keep their group.
    """

    rows: int
    below_threshold: int
    duplicates: int
    interactions_before_filters: int
    users_before_filters: int
    items_before_filters: int
    items_below_minimum: int
    users_below_minimum: int
    interactions_after_filters: int
    users: int
    items_after_filters: int
    items: int
    held_out_interactions_of_unseen_items: int
    valid_users_with_nothing_to_score: int
    test_users_with_nothing_to_score: int
    users_known: int = 0


def split_users(
    table: InteractionTable, options: SplitOptions | None = None, earlier: Groups | None = None
) -> tuple[Split, SplitCounts]:
    """Split `table` by users into train, valid and test.

    In this order: threshold; duplicates of a (user, item) pair merged (so a pair is kept if any of its rows
    passes); items, then users with too few interactions dropped, once each; users permuted; the last 2 x H
    held out, first H valid, then H test; items never seen in training dropped; each held-out user's items
    drawn into fold-in and held-out. Items are numbered in order of first appearance among training rows,
    users in the permuted order. With `earlier`, the users of an earlier data set, whoever was there keeps the group.

    Returns:
        The split, and how many of what was dropped where.

    Raises:
        DataError: a threshold without ratings, a rating missing, or nothing (or too few users) left.
        ConfigError: an option is out of its range.
    """
    options = options or SplitOptions()
    users, items = _kept_rows(table, options)
    below = table.n_rows - users.size
    n_items = len(table.item_ids)
    first = _first_of_each_pair(users, items, n_items)
    duplicates = 0
    if first is not None:
        duplicates = users.size - first.size
        users, items = users[first], items[first]
    before = users.size
    user_counts = np.bincount(users, minlength=len(table.user_ids))
    item_counts = np.bincount(items, minlength=n_items)
    users_before, items_before = np.count_nonzero(user_counts), np.count_nonzero(item_counts)

    items_dropped = users_dropped = 0
    if options.min_item_interactions > 1:
        enough = item_counts >= options.min_item_interactions
        items_dropped = int(items_before - np.count_nonzero(enough))
        keep = enough[items]
        users, items = users[keep], items[keep]
        user_counts = np.bincount(users, minlength=len(table.user_ids))
    enough = user_counts >= max(options.min_user_interactions, 1)
    users_dropped = int(users_before - np.count_nonzero(enough))
    if users_dropped:
        keep = enough[users]
        users, items = users[keep], items[keep]

    remaining = np.flatnonzero(enough)
    n_users = remaining.size
    n_held_out = _number_held_out(n_users, options)
    # Positions in `remaining` are ranks of sorted ids: the order of a pandas group-by index, which is what
    # was permuted.
    order = remaining[np.random.RandomState(options.seed).permutation(n_users)]
    n_valid = n_test = n_held_out
    known = 0
    if earlier is not None:
        divided = divide_alike(table.user_ids[order], earlier, n_held_out)
        order, n_valid, n_test, known = order[divided.order], divided.n_valid, divided.n_test, divided.n_known
    position = np.full(len(table.user_ids), -1, dtype=np.int32)
    position[order] = np.arange(n_users, dtype=np.int32)
    row_position = position[users]
    valid_start, test_start = n_users - n_valid - n_test, n_users - n_test

    in_train = row_position < valid_start
    train_items = items[in_train]
    item_position, item_order = _by_first_appearance(train_items, n_items)
    train = InteractionMatrix.from_pairs(
        row_position[in_train], item_position[train_items], n_users=valid_start, n_items=item_order.size
    )
    unseen = int(np.count_nonzero(item_position[items[~in_train]] < 0))
    groups = []
    for start, stop in ((valid_start, test_start), (test_start, n_users)):
        rows = np.flatnonzero((row_position >= start) & (row_position < stop))
        rows = rows[item_position[items[rows]] >= 0]
        groups.append(
            _held_out_group(users[rows], row_position[rows] - start, item_position[items[rows]],
                            n_users=stop - start, n_items=item_order.size, options=options)
        )  # fmt: skip
    valid, test = groups
    split = Split(train, valid, test, table.user_ids[order], table.item_ids[item_order])
    counts = SplitCounts(
        rows=table.n_rows,
        below_threshold=below,
        duplicates=duplicates,
        interactions_before_filters=before,
        users_before_filters=int(users_before),
        items_before_filters=int(items_before),
        items_below_minimum=items_dropped,
        users_below_minimum=users_dropped,
        interactions_after_filters=users.size,
        users=n_users,
        items_after_filters=int(np.count_nonzero(np.bincount(items, minlength=n_items))),
        items=item_order.size,
        held_out_interactions_of_unseen_items=unseen,
        valid_users_with_nothing_to_score=_nothing_to_score(valid),
        test_users_with_nothing_to_score=_nothing_to_score(test),
        users_known=known,
    )
    return split, counts


def _kept_rows(table: InteractionTable, options: SplitOptions) -> tuple[IntArray, IntArray]:
    """Return the users and items of the rows that pass the threshold."""
    if not table.n_rows:
        raise DataError("the source has no rows; at least a few users with their items are needed")
    if options.min_rating is None:
        return table.users, table.items
    if table.ratings is None:
        raise DataError(
            f"min_rating is {options.min_rating} and the source has no rating column; name it with --rating-column or "
            "leave --min-rating out"
        )
    missing = np.flatnonzero(np.isnan(table.ratings))
    if missing.size:
        raise DataError(
            f"the rating is empty or NaN in {missing.size} of {table.n_rows} rows (first in"
            f" {table.place(int(missing[0]))}); fill or remove those rows, or leave --min-rating out"
        )
    keep = table.ratings > options.min_rating
    if not keep.any():
        raise DataError(
            f"no rating is above {options.min_rating} (the highest is {table.ratings.max():g}); choose a lower "
            "--min-rating"
        )
    return table.users[keep], table.items[keep]


def _first_of_each_pair(users: IntArray, items: IntArray, n_items: int) -> npt.NDArray[np.intp] | None:
    """Return the rows that hold a (user, item) pair for the first time, or None if none is repeated."""
    cells = users.astype(np.int64) * n_items + items
    ordered = np.sort(cells)
    if not np.any(ordered[1:] == ordered[:-1]):
        return None
    by_cell = np.argsort(cells, kind="stable")
    ordered = cells[by_cell]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.sort(by_cell[starts])


def _number_held_out(n_users: int, options: SplitOptions) -> int:
    wanted = options.held_out_users
    n_held_out = max(1, int(wanted * n_users)) if isinstance(wanted, float) else wanted
    if n_users - 2 * n_held_out < 1:
        raise DataError(
            f"{n_users} users are left after filtering and 2 x {n_held_out} are to be held out; at least one must "
            "remain for training: lower --held-out-users or the filters"
        )
    return n_held_out


def _by_first_appearance(items: IntArray, n_items: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return each item's number in order of first appearance (-1: never), and the items in that order."""
    first = np.full(n_items, items.size, dtype=np.int64)
    first[items[::-1]] = np.arange(
        items.size - 1, -1, -1
    )  # of repeated assignments the last one stays: the earliest row
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < items.size)]
    position = np.full(n_items, -1, dtype=np.int32)
    position[order] = np.arange(order.size, dtype=np.int32)
    return position, order


def _held_out_group(
    ids: IntArray, users: IntArray, items: IntArray, *, n_users: int, n_items: int, options: SplitOptions
) -> HeldOutUsers:
    """Draw held-out items: users in id order, a user's rows in file order, one stream for the group."""
    by_user = np.argsort(ids, kind="stable")
    ids, users, items = ids[by_user], users[by_user], items[by_user]
    starts = (
        np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        if ids.size
        else np.zeros(0, dtype=np.intp)
    )
    counts = np.diff(np.append(starts, ids.size))
    random = np.random.RandomState(options.seed)
    drawn = [
        start + random.choice(n, size=int(options.held_out_fraction * n), replace=False)
        for start, n in zip(starts.tolist(), counts.tolist(), strict=True)
        if n >= MIN_ITEMS_TO_HOLD_OUT
    ]
    held = np.zeros(ids.size, dtype=bool)
    if drawn:
        held[np.concatenate(drawn)] = True
    fold_in, held_out = (
        InteractionMatrix.from_pairs(users[rows], items[rows], n_users=n_users, n_items=n_items)
        for rows in (~held, held)
    )
    return HeldOutUsers(fold_in, held_out)


def _nothing_to_score(group: HeldOutUsers) -> int:
    return int(np.count_nonzero((group.held_out.counts() == 0) | (group.fold_in.counts() == 0)))
