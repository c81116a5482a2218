"""Steps that splits share: pairs merged by time, the latest of a user, ties drawn and counted."""

from __future__ import annotations

import numpy as np
import pytest

from distrecvae.data.splitting.options import SplitOptions
from distrecvae.data.splitting.rows import counting_rows, cut_within_a_moment, latest
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def table(users: list[int], items: list[int], times: list[float] | None) -> InteractionTable:
    u, i = np.array(users, dtype=np.int32), np.array(items, dtype=np.int32)
    ids = np.arange(1 + max(users, default=0)), np.arange(1 + max(items, default=0))
    return InteractionTable(
        u, i, None, *ids, times=None if times is None else np.array(times, dtype=np.float64)
    )


def test_of_a_repeated_pair_the_earliest_stays() -> None:
    # The last of them would make an item that a user knew long before one to be predicted.
    found, counts = counting_rows(
        table([0, 0, 0, 1], [5, 5, 4, 5], [9.0, 3.0, 4.0, 8.0]), SplitOptions(split="leave-last")
    )
    assert found.times is not None
    assert found.times.tolist() == [3.0, 4.0, 8.0]
    assert counts["duplicates"] == 1
    untimed, _ = counting_rows(table([0, 0, 0, 1], [5, 5, 4, 5], [9.0, 3.0, 4.0, 8.0]), SplitOptions())
    assert untimed.times is None
    assert untimed.items.tolist() == [5, 4, 5]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (None, "--split leave-last needs to know when, and the source has no column of times"),
        ([1.0, np.nan, 2.0], r"the time is empty or NaN in 1 of 3 rows \(first in row 2\)"),
    ],
)
def test_times_that_are_needed_and_missing_are_refused(times: list[float] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        counting_rows(table([0, 0, 0], [1, 2, 3], times), SplitOptions(split="leave-last"))
    counting_rows(table([0, 0, 0], [1, 2, 3], times), SplitOptions())


def test_the_latest_are_told_a_user_at_a_time() -> None:
    users, times = np.array([1, 0, 1, 1, 0]), np.array([5.0, 2.0, 9.0, 7.0, 1.0])
    order = latest(users, times, seed=1)
    assert order.from_end.tolist() == [2, 0, 0, 1, 1]
    assert order.n_rows.tolist() == [3, 2, 3, 3, 2]


def test_ties_are_drawn_and_counted() -> None:
    # In the order of the file the last rows of one moment would be the highest ids, in a file that is sorted by them.
    users, times = np.repeat(np.arange(200), 4), np.tile([1.0, 7.0, 7.0, 7.0], 200)
    order = latest(users, times, seed=1)
    last = np.flatnonzero(order.from_end == 0) % 4
    assert 0 not in last
    # 200 draws of three: a share more than 0.15 off a third would be 4.5 deviations.
    assert all(abs(float((last == which).mean()) - 1 / 3) < 0.15 for which in (1, 2, 3))
    assert np.array_equal(latest(users, times, seed=1).from_end, order.from_end)
    assert cut_within_a_moment(order, users, times, (order.from_end < 1).astype(int)) == 200
    assert cut_within_a_moment(order, users, times, (order.from_end < 3).astype(int)) == 0
