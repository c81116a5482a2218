"""JSON lines: an object a line, as published reviews are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import Told
from distrecvae.data.sources.json_lines import read_json_lines
from distrecvae.data.sources.opening import Part
from distrecvae.errors import DataError


def written(folder: Path, content: str) -> Part:
    (folder / "reviews.json").write_text(content, encoding="utf-8")
    return Part(folder / "reviews.json")


AMAZON = (
    '{"reviewerID": "A1", "asin": "B1", "overall": 5.0, "reviewText": "so\\nlong"}\n'
    "\n"
    '{"asin": "B2", "reviewerID": "A2", "overall": null}\n'
)


def test_reviews(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, AMAZON).path)
    assert table.user_ids[table.users].tolist() == ["A1", "A2"]
    assert table.item_ids[table.items].tolist() == ["B1", "B2"]
    np.testing.assert_array_equal(table.ratings, [5, np.nan])
    assert table.source["format"] == "jsonl"
    assert table.place(1) == "line 3"


def test_numbers_are_numbers_however_they_are_written(tmp_path: Path) -> None:
    part = written(tmp_path, '{"user": 1, "item": 2.0}\n{"user": "3", "item": 4}\n')
    table = read_json_lines(part, Told())
    assert table.user_ids.tolist() == [1, 3]
    assert table.item_ids.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON in line 2"),
        ("[" * 100_000, "is not JSON in line 2"),
        ("[1, 2]", "has a list in line 2"),
        ('{"user": [1], "item": 2}', r"has user id \[1\] in line 2"),
        ('{"user": true, "item": 2}', "has user id True in line 2"),
        ('{"user": 1.5, "item": 2}', "has user id 1.5 in line 2"),
        ('{"user": 1}', "item id is missing .* first in line 2"),
        ('{"user": 1, "item": 2, "rating": "good"}', "has rating 'good' in line 2"),
        ('{"user": 1, "item": 2, "rating": 1e999}', "not finite in line 2"),
    ],
)
def test_a_bad_line_is_told_by_its_number(line: str, said: str, tmp_path: Path) -> None:
    part = written(tmp_path, f'{{"user": 1, "item": 2, "rating": 3}}\n{line}\n')
    with pytest.raises(DataError, match=said):
        read_json_lines(part, Told())


def test_too_many(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than 1 rows"):
        read_json_lines(written(tmp_path, AMAZON), Told(max_rows=1))
