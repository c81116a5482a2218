"""Splits by time against a naive reading of their rules, row by row; that nothing leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.dataset import HeldOutUsers, Split, n_leaks
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.sources.columns import Told
from distrecvae.data.sources.frames import read_frame
from distrecvae.data.splitting.by_time import split_at_moments, split_last
from distrecvae.data.splitting.options import SplitOptions
from distrecvae.errors import ConfigError, DataError
from tests.data.splitting.ratings import FIRST, ratings

Cells = dict[str, set[tuple[int, int]]]


def read(frame: pd.DataFrame) -> Any:
    return read_frame(frame, Told(times=True))


def cells(split: Split) -> Cells:
    """Return the pairs of ids in each part."""
    n, m = split.train.n_users, split.valid.n_users
    ids = {"train": split.user_ids[:n], "valid": split.user_ids[n : n + m], "test": split.user_ids[n + m :]}

    def of(matrix: InteractionMatrix, group: str) -> set[tuple[int, int]]:
        users = np.repeat(ids[group], matrix.counts())
        return set(zip(users.tolist(), split.item_ids[matrix.indices].tolist(), strict=True))

    found = {"train": of(split.train, "train")}
    for group in ("valid", "test"):
        part: HeldOutUsers = getattr(split, group)
        found |= {f"{group} in": of(part.fold_in, group), f"{group} out": of(part.held_out, group)}
    return found


def pairs(frame: pd.DataFrame) -> set[tuple[int, int]]:
    return set(zip(frame["userId"].tolist(), frame["movieId"].tolist(), strict=True))


def times_of(frame: pd.DataFrame) -> dict[tuple[int, int], int]:
    rows = zip(frame["userId"].tolist(), frame["movieId"].tolist(), frame["timestamp"].tolist(), strict=True)
    return {(user, item): time for user, item, time in rows}


def test_two_moments_divide_what_there_is() -> None:
    rows = ratings()
    valid_from, test_from = FIRST + 400 * 86_400, FIRST + 550 * 86_400
    options = SplitOptions(
        split="global-time", min_user_interactions=4, min_item_interactions=6,
        valid_from=str(valid_from), test_from=str(test_from),
    )  # fmt: skip
    split, counts, moments = split_at_moments(read(rows), options)
    assert split.overlapping
    assert (moments["valid_from"], moments["test_from"]) == (valid_from, test_from)
    assert moments["valid_from_written"] == f"2016-02-05 00:00:00 ({valid_from})"

    early = rows[rows["timestamp"] < valid_from]
    per_item = early.groupby("movieId").size()
    popular = set(per_item.index[per_item >= 6])
    rows = rows[rows["movieId"].isin(popular)]
    early, until = rows[rows["timestamp"] < valid_from], rows[rows["timestamp"] < test_from]
    between = until[until["timestamp"] >= valid_from]
    late = rows[rows["timestamp"] >= test_from]

    def at_least_four(frame: pd.DataFrame) -> set[int]:
        found = frame.groupby("userId").size()
        return set(found.index[found >= 4])

    trained, tested = at_least_four(early), at_least_four(until) & set(late["userId"])
    validated = trained & set(between["userId"])
    train = early[early["userId"].isin(trained)]
    known = set(train["movieId"])

    def part(frame: pd.DataFrame, users: set[int]) -> set[tuple[int, int]]:
        return pairs(frame[frame["userId"].isin(users) & frame["movieId"].isin(known)])

    assert cells(split) == {
        "train": pairs(train),
        "valid in": part(early, validated),
        "valid out": part(between, validated),
        "test in": part(until, tested),
        "test out": part(late, tested),
    }
    assert counts.users_below_minimum == early["userId"].nunique() - len(trained)
    strangers = set(rows[rows["timestamp"] >= valid_from]["userId"]) - validated - tested
    assert counts.users_without_history == len(strangers)
    assert len(strangers) > 0
    assert 0 < len(validated & tested) < len(validated)


def test_nothing_leaks_from_after_the_moment() -> None:
    rows = ratings(seed=5)
    when = times_of(rows)
    split, _, moments = split_at_moments(read(rows), SplitOptions(split="global-time"))
    found = cells(split)
    valid_from, test_from = moments["valid_from"], moments["test_from"]
    assert isinstance(valid_from, float)
    assert isinstance(test_from, float)
    assert max(when[pair] for pair in found["train"] | found["valid in"]) < valid_from
    assert all(valid_from <= when[pair] < test_from for pair in found["valid out"])
    assert (
        max(when[pair] for pair in found["test in"])
        < test_from
        <= min(when[pair] for pair in found["test out"])
    )
    assert n_leaks(split) == 0
    # What is new in the world after the moment changes nothing of what was before it.
    more = rows.assign(timestamp=rows["timestamp"].where(rows["timestamp"] < test_from, test_from + 5))
    again, *_ = split_at_moments(
        read(more), SplitOptions(split="global-time", valid_from=str(valid_from), test_from=str(test_from))
    )
    assert cells(again)["train"] == found["train"]
    assert cells(again)["valid out"] == found["valid out"]


@pytest.mark.parametrize("leave", [1, 3])
def test_the_last_items_of_each_user_are_left(leave: int) -> None:
    rows = ratings(seed=7)
    # Times that are all different, so that a naive reading has one answer.
    rows["timestamp"] = rows["timestamp"] * 10_000 + np.arange(len(rows))
    split, counts = split_last(
        read(rows), SplitOptions(split="leave-last", leave=leave, min_user_interactions=3)
    )
    rows = rows.sort_values("timestamp", kind="stable")
    ago = rows.groupby("userId").cumcount(ascending=False)
    n = rows.groupby("userId")["movieId"].transform("size")
    test = rows[(ago < leave) & (n > 2 * leave)]
    valid = rows[(ago >= leave) & (ago < 2 * leave) & (n > 2 * leave)]
    train = rows.drop(test.index).drop(valid.index)
    known, judged = set(train["movieId"]), set(test["userId"])

    def part(*frames: pd.DataFrame) -> set[tuple[int, int]]:
        frame = pd.concat(frames)
        return pairs(frame[frame["userId"].isin(judged) & frame["movieId"].isin(known)])

    assert cells(split) == {
        "train": pairs(train),
        "valid in": part(train),
        "valid out": part(valid),
        "test in": part(train, valid),
        "test out": part(test),
    }
    assert n_leaks(split) == 0
    assert counts.users == rows["userId"].nunique() == split.train.n_users
    assert counts.users_with_too_few_to_leave == counts.users - len(judged)
    assert counts.users_cut_within_a_moment == 0


def test_a_cut_among_items_of_one_time_is_counted_and_never_goes_back_in_time() -> None:
    rows = ratings(seed=9)
    split, counts = split_last(read(rows), SplitOptions(split="leave-last"))
    assert counts.users_cut_within_a_moment
    when = times_of(rows)
    found = cells(split)
    latest_known = {
        user: max(when[u, i] for u, i in found["test in"] if u == user) for user, _ in found["test out"]
    }
    assert all(when[user, item] >= latest_known[user] for user, item in found["test out"])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"valid_from": "1990-01-01"}, DataError, "--valid-from is 1990-01-01 .* times run from 2015-01-0"),
        (
            {"test_from": "2030-01-01"},
            DataError,
            "--test-from is 2030-01-01 .* so that users are left on both sides",
        ),
        (
            {"valid_from": "2016-03-01", "test_from": "2016-02-01"},
            ConfigError,
            "must begin before the test does",
        ),
        ({"valid_from": "soon"}, DataError, "--valid-from 'soon' is not a moment"),
        (
            {"min_user_interactions": 40},
            DataError,
            "no user has 40 items before .*lower --min-user-interactions",
        ),
    ],
)
def test_moments_that_leave_nobody_are_refused(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        split_at_moments(read(ratings()), SplitOptions(split="global-time", **given))


def test_moments_after_which_nobody_known_comes_are_refused() -> None:
    rows = pd.DataFrame(
        {"user": [1] * 6 + [2] * 6, "item": [*range(6)] * 2, "time": [*range(6), *range(10, 16)]}
    )
    with pytest.raises(DataError, match="no user with 5 items before 6 has another until 12"):
        split_at_moments(read(rows), SplitOptions(split="global-time", valid_from="6", test_from="12"))
    with pytest.raises(DataError, match="no user with 5 items before 6 has another since"):
        split_at_moments(read(rows), SplitOptions(split="global-time", valid_from="5", test_from="6"))


def test_more_to_leave_than_anybody_has_is_refused() -> None:
    with pytest.raises(DataError, match="--leave 20: the longest history has 29 items, and 41 are needed"):
        split_last(read(ratings()), SplitOptions(split="leave-last", leave=20))
    with pytest.raises(DataError, match="no user has 50 interactions"):
        split_last(read(ratings()), SplitOptions(split="leave-last", min_user_interactions=50))
