"""Steps that all splits share: which rows count, pairs merged, filters, the numbers of items, the latest of a user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

IntArray = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]


class Rows(NamedTuple):
    """Rows of a table that count.

    Attributes:
        users: (n_rows,), positions among the table's ids.
        items: likewise.
        times: float64, (n_rows,), or None where the split does not go by time.
    """

    users: IntArray
    items: IntArray
    times: npt.NDArray[np.float64] | None

    def at(self, which: Mask | IntArray) -> Rows:
        """Return some of the rows, in their order."""
        return Rows(self.users[which], self.items[which], None if self.times is None else self.times[which])

    @property
    def when(self) -> npt.NDArray[np.float64]:
        """The times of a split that goes by them."""
        assert self.times is not None, "the split goes by time"  # noqa: S101
        return self.times


@dataclass(frozen=True, kw_only=True)
class SplitCounts:
    """What happened on the way from the source's rows to the split, in order; every number is a count.

    `users_known` are those of an earlier data set, who keep their group. What is None does not apply: users whose items
    of one time are both folded in and held out; users who have too few items to leave some; users of the time after a
    moment who had too few before.
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
    users_cut_within_a_moment: int | None = None
    users_with_too_few_to_leave: int | None = None
    users_without_history: int | None = None

    def recorded(self) -> dict[str, int]:
        """Return those that apply, JSON-able."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Counted:
    """Rows that passed, and how many of what did not: as in `SplitCounts`."""

    rows: Rows
    counts: dict[str, int]
    enough_users: Mask


def counting_rows(table: InteractionTable, options: SplitOptions) -> tuple[Rows, dict[str, int]]:
    """Return the rows that pass the threshold, pairs of a user and an item merged, and the first counts.

    Of rows that repeat a pair the first stays; where the split goes by time, the earliest.

    Raises:
        DataError: a threshold without ratings, a rating or a time missing, or nothing left.
    """
    rows = _above(table, options)
    below = table.n_rows - rows.users.size
    first = _first_of_each_pair(rows, len(table.item_ids))
    duplicates = 0
    if first is not None:
        duplicates = rows.users.size - first.size
        rows = rows.at(first)
    return rows, {
        "rows": table.n_rows,
        "below_threshold": below,
        "duplicates": duplicates,
        "interactions_before_filters": rows.users.size,
        "users_before_filters": np.unique(rows.users).size,
        "items_before_filters": np.unique(rows.items).size,
    }


def filtered(
    table: InteractionTable, rows: Rows, options: SplitOptions, told_by: Mask | None = None
) -> Counted:
    """Drop items, then users with too few interactions, once each.

    Args:
        table: the source.
        rows: pairs.
        options: how many are enough.
        told_by: of which rows the interactions are counted; None for all. The users of others stay.
    """
    n_items = len(table.item_ids)
    counted = rows if told_by is None else rows.at(told_by)
    counts = {"items_below_minimum": 0}
    if options.min_item_interactions > 1:
        there = np.bincount(counted.items, minlength=n_items)
        enough = there >= options.min_item_interactions
        counts["items_below_minimum"] = int(np.count_nonzero(there) - np.count_nonzero(enough))
        rows, counted = rows.at(enough[rows.items]), counted.at(enough[counted.items])
    per_user = np.bincount(counted.users, minlength=len(table.user_ids))
    enough = per_user >= max(options.min_user_interactions, 1)
    return Counted(rows, counts, enough)


def _above(table: InteractionTable, options: SplitOptions) -> Rows:
    """Return the rows that pass the threshold."""
    if not table.n_rows:
        raise DataError("the source has no rows; at least a few users with their items are needed")
    rows = Rows(table.users, table.items, table.times if options.by_time else None)
    keep = None
    if options.min_rating is not None:
        if table.ratings is None:
            raise DataError(
                f"min_rating is {options.min_rating} and the source has no rating column; name it with --rating-column"
                " or leave --min-rating out"
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
    if options.by_time:
        _require_times(table, options, keep)
    return rows if keep is None else rows.at(keep)


def _require_times(table: InteractionTable, options: SplitOptions, keep: Mask | None) -> None:
    asked = f"--split {options.split}" if options.overlapping else "--held-out-by time"
    if table.times is None:
        raise DataError(
            f"{asked} needs to know when, and the source has no column of times; name it with --timestamp-column"
        )
    gone = np.isnan(table.times) if keep is None else np.isnan(table.times) & keep
    missing = np.flatnonzero(gone)
    if missing.size:
        raise DataError(
            f"the time is empty or NaN in {missing.size} of {table.n_rows} rows (first in"
            f" {table.place(int(missing[0]))}), and {asked} needs it; fill or remove those rows"
        )


def _first_of_each_pair(rows: Rows, n_items: int) -> npt.NDArray[np.intp] | None:
    """Return the rows that hold a (user, item) pair for the first time, or None if none is repeated."""
    cells = rows.users.astype(np.int64) * n_items + rows.items
    ordered = np.sort(cells)
    if not np.any(ordered[1:] == ordered[:-1]):
        return None
    by_cell = np.argsort(cells, kind="stable") if rows.times is None else np.lexsort((rows.times, cells))
    ordered = cells[by_cell]
    starts = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return np.sort(by_cell[starts])


def by_first_appearance(items: IntArray, n_items: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return each item's number in order of first appearance (-1: never), and the items in that order."""
    first = np.full(n_items, items.size, dtype=np.int64)
    first[items[::-1]] = np.arange(
        items.size - 1, -1, -1
    )  # of repeated assignments the last one stays: the earliest row
    order = np.argsort(first, kind="stable")[: np.count_nonzero(first < items.size)]
    position = np.full(n_items, -1, dtype=np.int32)
    position[order] = np.arange(order.size, dtype=np.int32)
    return position, order


class Latest(NamedTuple):
    """How recent rows are among their user's.

    Attributes:
        from_end: int64, (n_rows,), 0 for a user's latest row, 1 for the one before, ...
        n_rows: int64, (n_rows,), how many rows the row's user has.
        ordered: (n_rows,), the rows by user, and those of a user from the earliest.
    """

    from_end: npt.NDArray[np.int64]
    n_rows: npt.NDArray[np.int64]
    ordered: npt.NDArray[np.intp]


def latest(users: IntArray, times: npt.NDArray[np.float64], seed: int) -> Latest:
    """Order each user's rows by time, those of one time as `seed` draws: the order in a file tells nothing."""
    ties = np.random.RandomState(seed).permutation(users.size)
    ordered = np.lexsort((ties, times, users))
    counts = np.bincount(users)
    per_row = counts[users]
    ends = np.cumsum(counts)
    from_end = np.empty(users.size, dtype=np.int64)
    from_end[ordered] = ends[users[ordered]] - 1 - np.arange(users.size)
    return Latest(from_end, per_row, ordered)


def cut_within_a_moment(
    order: Latest, users: IntArray, times: npt.NDArray[np.float64], part: IntArray
) -> int:
    """Return how many users have rows of one time in two parts.

    Args:
        order: of the rows.
        users: (n_rows,).
        times: (n_rows,).
        part: (n_rows,), the part that each row is in; rising with time.
    """
    before, after = order.ordered[:-1], order.ordered[1:]
    torn = (users[before] == users[after]) & (times[before] == times[after]) & (part[before] != part[after])
    return int(np.unique(users[before[torn]]).size)


def nothing_to_score(group: HeldOutUsers) -> int:
    """Return how many users cannot be scored: nothing is held out, or nothing folded in."""
    return group.n_users - group.n_scored
