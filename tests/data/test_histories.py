"""Histories: ids become rows over a model's items, whatever they are given as, and nothing is dropped in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.histories import Histories, as_table, over_items
from distrecvae.data.sources import read_table
from distrecvae.errors import ConfigError, DataError

ITEMS = np.array([30, 10, 20])  # positions are the model's, not sorted
WORDS = np.array(["b", "a", "007"], dtype=object)


def rows(histories: Histories, what: str = "shown") -> dict[Any, list[int]]:
    matrix = getattr(histories, what)
    return {user: matrix.row(at).tolist() for at, user in enumerate(histories.user_ids.tolist())}


def test_a_dict_keeps_its_order_and_merges_repeats() -> None:
    found = over_items(as_table({"zoe": [10, 30, 10], "ann": (20,)}), ITEMS)
    assert list(rows(found)) == ["zoe", "ann"]
    assert rows(found) == {"zoe": [0, 1], "ann": [2]}
    assert found.notes() == []
    assert found.seen is found.shown


def test_a_list_of_lists_has_users_by_position() -> None:
    found = over_items(as_table([[20], [], np.array([30, 20])]), ITEMS)
    assert rows(found) == {0: [2], 2: [0, 2]}
    assert found.user_ids.dtype == np.int64
    assert found.notes() == ["1 user left out: no item that the model knows (1)"]


def test_a_frame_is_read_as_a_file_is(tmp_path: Path) -> None:
    frame = pd.DataFrame({"itemId": ["a", "007", "x", "a"], "userId": [2, 1, 1, 2]})
    frame.to_csv(tmp_path / "f.csv", index=False)
    for table in (as_table(frame), read_table(tmp_path / "f.csv")):
        found = over_items(table, WORDS)
        assert rows(found) == {1: [2], 2: [1]}
        assert found.notes() == ["1 item unknown to the model (such as 'x'): 1 row ignored"]


def test_what_is_unknown_is_counted_by_item_and_row_and_its_users_left_out() -> None:
    found = over_items(as_table({"a": [1, 10], "b": [1, 2], "c": [2, 2, 1], "d": [20]}), ITEMS)
    assert (found.n_unknown_items, found.n_unknown_rows, found.n_left_out) == (2, 6, 2)
    assert rows(found) == {"a": [1], "d": [2]}
    assert found.an_unknown_item == 1


@pytest.mark.parametrize(
    ("given", "known"),
    [([10, 20], ITEMS), (["10", "20"], ITEMS), ([10, "20"], ITEMS), ([np.int32(10), np.int64(20)], ITEMS)],
)
def test_ids_of_different_types_are_one_where_they_are_written_the_same(given: list[Any], known: Any) -> None:
    assert rows(over_items(as_table({"u": given}), known)) == {"u": [1, 2]}
    assert rows(over_items(as_table({"u": given}), known.astype(str).astype(object))) == {"u": [1, 2]}


def test_a_leading_zero_makes_another_item() -> None:
    assert over_items(as_table({"u": ["7"]}), WORDS).n_users == 0
    assert rows(over_items(as_table({"u": ["007"]}), WORDS)) == {"u": [2]}


def test_whole_floats_are_what_pandas_makes_of_numbers_with_a_gap() -> None:
    frame = pd.DataFrame({"user_id": [1.0, 2.0], "item_id": [10.0, 20.0]})
    assert rows(over_items(as_table(frame), ITEMS)) == {1: [1], 2: [2]}


def test_below_the_threshold_is_seen_and_not_gone_by() -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 2, 3, 3], "item_id": [10, 20, 30, 30, 10], "rating": [5, 2, 3.5, 4, np.nan]}
    )
    found = over_items(as_table(frame), ITEMS, min_rating=3.5)
    assert rows(found) == {1: [1], 3: [0]}
    assert rows(found, "seen") == {1: [1, 2], 3: [0, 1]}
    assert found.n_left_out == 1


def test_who_gets_nothing_is_named_with_the_reason() -> None:
    """They were counted, and nobody could tell who they were, or why."""
    frame = pd.DataFrame(
        [("a", 10, 5), ("b", 99, 5), ("c", 10, 1), *(("d", item, 5) for item in ITEMS)],
        columns=["user_id", "item_id", "rating"],
    )
    found = over_items(as_table(frame), ITEMS, min_rating=3.5)
    assert found.n_left_out == 2
    assert found.notes()[1:] == [
        "1 user left out: no item that the model knows ('b')",
        "1 user left out: no known item is rated above 3.5 ('c')",
        "1 user without recommendations: they have every item that the model knows ('d')",
    ]
    assert len(found.notes(include_seen=True)) == 3
    many = over_items(as_table({f"u{n}": [99] for n in range(5)}), ITEMS)
    assert many.notes()[1] == "5 users left out: no item that the model knows ('u0', 'u1', 'u2', ...)"


def test_a_threshold_needs_ratings() -> None:
    with pytest.raises(ConfigError, match=r"min_rating is 3.5 and the histories have no ratings"):
        over_items(as_table({1: [10]}), ITEMS, min_rating=3.5)


def test_nobody_is_no_error() -> None:
    nobody: tuple[Any, ...] = ({}, [], pd.DataFrame({"user_id": [], "item_id": []}))
    for nothing in nobody:
        found = over_items(as_table(nothing), ITEMS)
        assert found.n_users == 0
        assert found.shown.shape == (0, 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("abc", "the histories are a str; give a dict"),
        (7, "the histories are a int; give a dict"),
        ({"u": "abc"}, "the history of user 'u' is 'abc'; it must be a list of item ids"),
        ([1, 2], "the history of user 0 is 1; it must be a list"),
        ({"u": [1, None]}, "missing"),
        ({"u": [1, float("nan")]}, "missing"),
        ({"u": ["a", " "]}, "empty"),
        ({"u": [1.5]}, "text or whole numbers"),
        (pd.DataFrame({"a": [1], "b": [2]}), "have the columns a, b; rename two of them to user_id and item_id"),
        (pd.DataFrame({"user_id": [1, 2], "item_id": ["x", None]}), r"item id is missing .* first in row 2"),
        (pd.DataFrame({"user_id": [1], "item_id": [2], "rating": ["good"]}), "ratings that are not numbers"),
        ({"u": [1, pd.NA]}, "user 'u'.* missing"),
        ({"u": [1, pd.NaT]}, "missing"),
        ({"u": [np.array([1, 2])]}, r"user 'u'.*array\(\[1, 2\]\).*text or whole numbers"),
        ({"u": [1.5]}, "1.5.*text or whole numbers"),
        ({"u": [True]}, "True.*text or whole numbers"),
        ({None: [1]}, "user id is missing"),
        ({"u": {"a": 1}.items()}, r"\('a', 1\).*text or whole numbers"),
    ],
)  # fmt: skip
def test_what_is_no_history_is_refused_in_a_line(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        as_table(given)
    assert "\n" not in str(caught.value)
