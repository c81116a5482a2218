"""Parquet sources: one file or a folder of them, whatever types the columns have, and no column read in vain."""

from __future__ import annotations

import decimal
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.sources.columns import ColumnNames, Told
from distrecvae.data.sources.opening import Part
from distrecvae.data.sources.parquet import read_parquet
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

ANY = Told()


def written(path: Path, columns: dict[str, Any]) -> Part:
    pq.write_table(pa.table(columns), path)
    return Part(path)


def pairs(table: InteractionTable) -> list[tuple[Any, Any]]:
    return list(zip(table.user_ids[table.users].tolist(), table.item_ids[table.items].tolist(), strict=True))


def test_rows_in_file_order_and_where_they_are_from(tmp_path: Path) -> None:
    columns = {"movieId": [10, 2, 10], "userId": ["b", "a", "a"], "rating": [4, 3, 5], "timestamp": [1, 2, 3]}
    part = written(tmp_path / "a.parquet", columns)
    table = read_parquet(part, ANY)
    assert pairs(table) == [("b", 10), ("a", 2), ("a", 10)]
    assert (table.user_ids.tolist(), table.item_ids.tolist()) == (["a", "b"], [2, 10])
    assert table.ratings is not None
    assert table.ratings.dtype == np.float64
    assert table.ratings.tolist() == [4, 3, 5]
    assert table.source == {
        "path": str(part),
        "format": "parquet",
        "columns": {"user": "userId", "item": "movieId", "rating": "rating", "timestamp": "timestamp"},
    }


def test_against_pandas(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "item": random.integers(-50, 50, size=500),
            "note": "x",
            "user": [f"u{number}" for number in random.integers(90, size=500)],
            "stars": random.integers(1, 11, size=500) / 2,
        }
    )
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=70)
    table = read_parquet(Part(tmp_path / "a.parquet"), ANY)
    assert pairs(table) == list(zip(frame["user"], frame["item"], strict=True))
    np.testing.assert_array_equal(table.ratings, frame["stars"])
    assert table.user_ids.tolist() == sorted(frame["user"].unique())


def test_a_frames_index_is_a_column_like_others(tmp_path: Path) -> None:
    # It is read where it is a user's or an item's id, and left out where it is neither.
    frame = pd.DataFrame({"user_id": [2, 1, 1], "item_id": [3, 4, 5]}, index=pd.Index([*"xyz"], name="row"))
    for name, written_frame in (("a", frame), ("b", frame.set_index("user_id"))):
        written_frame.to_parquet(tmp_path / name)
        table = read_parquet(Part(tmp_path / name), ANY)
        assert (pairs(table), table.ratings) == ([(2, 3), (1, 4), (1, 5)], None)


def test_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    # The bytes of the others are spoilt: reading them would fail.
    path = tmp_path / "a.parquet"
    texts = [f"{number:064d}" for number in range(300)]
    table = pa.table({"user_id": list(range(300)), "review": texts, "item_id": [1] * 300})
    pq.write_table(table, path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    where = pq.ParquetFile(path).metadata.row_group(0).column(1)
    start, size = where.data_page_offset, where.total_compressed_size
    path.write_bytes(content[:start] + b"\xff" * size + content[start + size :])
    with pytest.raises((pa.ArrowException, OSError)):
        pq.read_table(path)
    assert read_parquet(Part(path), ANY).n_rows == 300


def test_columns_as_told(tmp_path: Path) -> None:
    part = written(
        tmp_path / "a.parquet", {"user_id": [1], "buyer": [7], "sku": [3], "stars": [5], "w": [0.5]}
    )
    table = read_parquet(part, Told(columns=ColumnNames(user="buyer", item="SKU", rating="w")))
    assert pairs(table) == [(7, 3)]
    assert table.ratings is not None
    assert table.ratings.tolist() == [0.5]


@pytest.mark.parametrize(
    ("ratings", "expected"),
    [
        (pa.array([1, 5], pa.int8()), [1, 5]),
        (pa.array([0.1, None]), [0.1, np.nan]),  # not a float32
        (pa.array(["1.5", "2"]), [1.5, 2]),
        (pa.array([decimal.Decimal("3.5"), decimal.Decimal("4.0")]), [3.5, 4]),
        (pa.array([True, False]), [1, 0]),
        (pa.array([1.5, 2.0], pa.float32()), [1.5, 2]),
        (pa.nulls(2), [np.nan, np.nan]),
    ],
)
def test_whatever_can_be_a_number_is_a_rating(
    ratings: pa.Array, expected: list[float], tmp_path: Path
) -> None:
    table = read_parquet(written(tmp_path / "a", {"user": [1, 2], "item": [3, 4], "rating": ratings}), ANY)
    np.testing.assert_array_equal(table.ratings, np.array(expected))


def test_ids_may_be_text_dictionaries_or_floats_that_are_whole(tmp_path: Path) -> None:
    users = pa.array(["b", " a", "b"]).dictionary_encode()
    table = read_parquet(written(tmp_path / "a", {"user": users, "item": [2.0, 1.0, 1.0]}), ANY)
    assert pairs(table) == [("b", 2), ("a", 1), ("b", 1)]


def test_a_folder_is_one_table_in_the_order_of_its_files_names(tmp_path: Path) -> None:
    written(tmp_path / "part-1.parquet", {"user_id": [5, 6], "item_id": [1, 1]})
    written(tmp_path / "part-0.parquet", {"user_id": [9], "item_id": [2]})
    (tmp_path / "_SUCCESS").touch()
    table = read_parquet(tmp_path, ANY)
    assert pairs(table) == [(9, 2), (5, 1), (6, 1)]
    assert table.source["path"] == str(tmp_path)


def test_a_folder_may_be_divided_by_a_column(tmp_path: Path) -> None:
    # Spark's partitionBy: the column is in the folders' names alone.
    for user, items in ((2, [7, 8]), (11, [7])):
        (tmp_path / f"user_id={user}").mkdir()
        written(tmp_path / f"user_id={user}" / "part-0.parquet", {"item_id": items})
    assert sorted(pairs(read_parquet(tmp_path, ANY))) == [(2, 7), (2, 8), (11, 7)]


def test_a_member_of_a_zip(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", {"user_id": [1], "item_id": [2]})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.parquet", "in/a.parquet")
    table = read_parquet(Part(tmp_path / "a.zip", "in/a.parquet"), ANY)
    assert pairs(table) == [(1, 2)]
    assert table.source["path"] == f"{tmp_path / 'a.zip'}:in/a.parquet"


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"user": [], "item": []}, "{} has no rows; it must hold interactions"),
        (
            {"user": [1, None, None], "item": [1, 2, 3]},
            "{} has rows whose user id is missing (column 'user', empty or NaN in 2 of them, first in row 2);"
            " remove them, or leave them out with --missing ''",
        ),
        (
            {"User": ["a"], "Item": [" "]},
            "{} has rows whose item id is missing (column 'Item', empty or NaN in 1 of them, first in row 1);"
            " remove them, or leave them out with --missing ''",
        ),
    ],
)
def test_what_is_not_a_source_is_refused_with_its_row(
    columns: dict[str, Any], said: str, tmp_path: Path
) -> None:
    part = written(tmp_path / "a.parquet", columns)
    with pytest.raises(DataError) as refused:
        read_parquet(part, ANY)
    assert str(refused.value) == said.format(part)


@pytest.mark.parametrize("ratings", [["1", "good"], [[1.0], [2.0]], ["", "2"]])
def test_ratings_that_are_no_numbers_are_refused_with_their_column(
    ratings: list[Any], tmp_path: Path
) -> None:
    part = written(tmp_path / "a.parquet", {"user": [1, 2], "item": [3, 4], "Stars": ratings})
    with pytest.raises(DataError) as refused:
        read_parquet(part, ANY)
    assert str(refused.value).startswith(f"{part}: column 'Stars' holds no numbers (")
    assert str(refused.value).endswith("); correct it, or leave ratings out with --rating-column none")
    assert "\n" not in str(refused.value)


def test_a_missing_column_is_said_as_for_text(tmp_path: Path) -> None:
    part = written(tmp_path / "a.parquet", {"user": [1], "what": [2]})
    with pytest.raises(DataError, match=r"no column looks like the item .* the columns are user, what"):
        read_parquet(part, ANY)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"user,item\n1,2\n", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_damaged_file_is_said_to_be_so(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError) as refused:
        read_parquet(Part(path), ANY)
    assert str(refused.value).startswith(f"{path} is not a Parquet file or is damaged (")
    assert "\n" not in str(refused.value)


def test_a_cut_file_in_a_folder_is_said_of_the_folder(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        written(tmp_path / name, {"user": [1], "item": [2]})
    content = (tmp_path / "b.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(content[:-9])
    with pytest.raises(DataError, match=f"{tmp_path} is not a Parquet file or is damaged"):
        read_parquet(tmp_path, ANY)
