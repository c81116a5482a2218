"""A DataFrame is read as the file that it would be written to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames, Told
from distrecvae.data.sources.frames import read_frame
from distrecvae.errors import DataError

FRAME = pd.DataFrame(
    {
        "when": [1, 2, 3, 4],
        "movieId": [30, 10, 20, 10],
        "userId": ["b", "a", "b", "c"],
        "rating": [4, 3, 5, 1.5],
    },
    index=[7, 7, 7, 7],
)


def test_it_is_the_table_of_its_csv_and_of_its_parquet(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.to_parquet(tmp_path / "a.parquet", index=False)
    found = read_frame(FRAME)
    for name in ("a.csv", "a.parquet"):
        other = read_table(tmp_path / name)
        assert other.ratings is not None
        assert found.ratings is not None
        np.testing.assert_array_equal(found.users, other.users)
        np.testing.assert_array_equal(found.items, other.items)
        np.testing.assert_array_equal(found.ratings, other.ratings)
        assert found.user_ids.tolist() == other.user_ids.tolist() == ["a", "b", "c"]
        assert found.item_ids.tolist() == other.item_ids.tolist() == [10, 20, 30]


def test_categories_and_strings_are_ids_as_objects_are() -> None:
    for kind in ("category", "string", "string[pyarrow]"):
        other = read_frame(FRAME.astype({"userId": kind, "movieId": "category"}))
        assert other.user_ids.tolist() == ["a", "b", "c"], kind
        assert other.items.tolist() == read_frame(FRAME).items.tolist()


def test_what_was_read_is_written_down() -> None:
    assert read_frame(FRAME).source == {
        "format": "pandas", "columns": {"user": "userId", "item": "movieId", "rating": "rating"}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("frame", "wanted", "words"),
    [
        (FRAME.drop(columns="movieId"), None, ["the item", "when, userId, rating"]),
        (FRAME, Told(columns=ColumnNames(user="buyer")), ["buyer", "userId"]),
        (FRAME.head(0), None, ["the DataFrame", "no rows"]),
        (
            FRAME.assign(userId=pd.Series(["a", None, "b", "c"], index=FRAME.index)),
            None,
            ["user id is missing", "userId", "first in row 2 (.iloc[1])"],
        ),
        (FRAME.assign(rating=["good", "bad", "bad", "good"]), None, ["the DataFrame", "good"]),
        (FRAME.assign(userId=[1.5, 2.0, 3.0, 4.0]), None, ["user", "1.5"]),
        (FRAME.assign(userId=[1, "a", 3, 4]), None, ["the DataFrame"]),
    ],
)
def test_what_is_no_table_of_interactions_is_refused_in_a_line(
    frame: pd.DataFrame, wanted: Told | None, words: list[str]
) -> None:
    with pytest.raises(DataError) as refused:
        read_frame(frame, wanted)
    assert all(word in str(refused.value) for word in words), refused.value
    assert "\n" not in str(refused.value)
