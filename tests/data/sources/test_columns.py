"""Columns are found by the names people give them, the plainest first."""

from __future__ import annotations

import pytest

from distrecvae.data.sources.columns import ColumnNames, find_columns


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("user_id,item_id", "user_id item_id"),
        ("userId,movieId,rating,timestamp", "userId movieId rating timestamp"),
        ("User ID,Item ID,Stars", "User ID,Item ID,Stars"),
        ("timestamp,rating,iid,uid", "uid iid rating timestamp"),
        ("title,user,movie,user_id,item", "user_id item"),
        ("USER,ITEM,Play_Count", "USER ITEM Play_Count"),
        ("reviewerID,asin,overall,unixReviewTime", "reviewerID asin overall unixReviewTime"),
        ("user_id,item_id,rating_id", "user_id item_id"),
    ],
)
def test_by_usual_names(found: str, expected: str) -> None:
    names = found.split(",")
    found_columns = find_columns(names, ColumnNames())
    assert list(found_columns.names.values()) == expected.split("," if "," in expected else " ")


def test_told_names_come_first_and_exact_case_wins() -> None:
    names = ["User", "user", "item", "user_id"]
    assert find_columns(names, ColumnNames(user="User")).positions["user"] == 0
    assert find_columns(names, ColumnNames(user="user")).positions["user"] == 1
    assert find_columns(names, ColumnNames(item="ITEM")).positions["item"] == 2
