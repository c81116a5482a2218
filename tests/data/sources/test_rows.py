"""Columns become a table the same way for every source: ids, ratings, what is missing, where a row stands."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from distrecvae.data.sources.rows import to_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError


def rows(table: InteractionTable) -> list[tuple[str, str, float | None]]:
    users, items = (
        [str(id_) for id_ in ids[at].tolist()]
        for ids, at in ((table.user_ids, table.users), (table.item_ids, table.items))
    )
    ratings = [None] * table.n_rows if table.ratings is None else table.ratings.tolist()
    return list(zip(users, items, ratings, strict=True))


NAMES = {"user": "who", "item": "what"}


def test_arrow_columns_become_a_table() -> None:
    given_table = pa.table(
        {"item": pa.array([5, 3, 5]), "rating": pa.array([1, 2, 3]), "user": ["b", "a", "a"]}
    )
    table = to_table(given_table, {"format": "mine"}, "here", names=NAMES)
    assert rows(table) == [("b", "5", 1.0), ("a", "3", 2.0), ("a", "5", 3.0)]
    assert table.ratings is not None
    assert table.ratings.dtype == np.float64
    assert table.source == {"format": "mine"}


def test_arrow_columns_without_rows_are_refused() -> None:
    nobody = pa.table({"user": pa.array([], pa.int64()), "item": pa.array([], pa.int64())})
    with pytest.raises(DataError) as refused:
        to_table(nobody, {}, "the histories", names=NAMES)
    assert str(refused.value) == "the histories has no rows; it must hold interactions"


@pytest.mark.parametrize("items", [[1, None, None], [1.0, float("nan"), None], ["x", " ", ""]])
def test_missing_ids_are_counted_and_the_first_told_by_column_and_place(items: list[object]) -> None:
    given_table = pa.table({"user": [1, 2, 3], "item": items})
    with pytest.raises(DataError) as refused:
        to_table(given_table, {}, "here", names=NAMES, place=lambda row: f"line {row + 10}")
    assert str(refused.value) == (
        "here has rows whose item id is missing (column 'what', empty or NaN in 2 of them, first in line 11);"
        " remove them, or leave them out with --missing ''"
    )
