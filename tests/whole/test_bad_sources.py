"""Sources that are not what they should be: one line that says which, where and what to do."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.errors import DataError

HEADER = "user_id,item_id,rating\n"


def zipped(*names: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, HEADER + "1,2,3\n")

    return make


def broken_zip(path: Path) -> None:
    zipped("ratings.csv")(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"1,2,3")] ^= 1
    path.write_bytes(content)


def columns(**values: list[object]) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(values), path)


CASES: list[tuple[str, str | bytes | Callable[[Path], None] | None, str]] = [
    ("missing.csv", None, "no such file"),
    ("empty.csv", "", "is empty"),
    ("blank.csv", "\n\n", "is empty"),
    ("header.csv", HEADER, "has a header and no rows"),
    ("header_only.csv", HEADER.strip(), "has a header and no rows"),
    ("zeros.csv", b"\0\0\0\0", "is not text"),
    ("latin.csv", "usér_id,item_id\n1,2\n".encode("latin-1"), "is not UTF-8"),
    ("latin_ids.csv", HEADER.encode() + b"1,2,3\n\xe9,1,2\n", "is not UTF-8 text in line 3"),
    ("no_header.csv", "1,2,3.5\n1,3,4.0\n", "looks like data, not column names"),
    ("no_user.csv", "who,item_id\n1,2\n", "no column looks like the user .* columns are who, item_id"),
    ("no_item.csv", "user_id,what\n1,2\n", "no column looks like the item .* --item-column"),
    ("one_column.csv", "user_id\n1\n", "no column looks like the item"),
    ("rating.csv", HEADER + "1,2,3\n1,3,good\n", "rating 'good' in line 3"),
    ("comma.csv", "user;item;rating\n1;2;3,5\n", "rating '3,5' in line 2"),
    ("short.csv", HEADER + "1,2,3\n1,3\n", "2 fields in line 3 and 3"),
    ("no_id.csv", HEADER + "1,2,3\n,3,4\n", "user id is missing .* in 1 of them, first in line 3"),
    (
        "nan_id.csv",
        HEADER + "1,2,3\n1,,4\n1, ,4\n",
        "item id is missing .* in 2 of them, first in line 3",
    ),
    ("blank_id.csv", HEADER + "1,2,3\n1,  ,4\n", "item id is missing"),
    ("short.dat", "1::2::3::4\n1::2\n", "2 fields in line 2"),
    ("bad.inter", "user_id:token\titem_id:token\n1\n", "1 fields in line 2"),
    ("combined_data_1.txt", "1:\n1,2\n", "is not a Netflix Prize file"),
    ("empty.parquet", columns(user_id=[], item_id=[]), "no rows"),
    ("nulls.parquet", columns(user_id=[1, None], item_id=[1, 2]), "user id is missing .* first in row 2"),
    ("nans.parquet", columns(user_id=[1.0, float("nan")], item_id=[1, 2]), "user id is missing"),
    ("fractions.parquet", columns(user_id=[1.5, 2.0], item_id=[1, 2]), "user ids are not whole numbers"),
    ("bools.parquet", columns(user_id=[True, False], item_id=[1, 2]), "text or whole numbers"),
    ("texts.parquet", columns(user_id=[1], item_id=[1], rating=["good"]), "'rating' holds no numbers"),
    ("columns.parquet", columns(a=[1], b=[2]), "no column looks like the user .* columns are a, b"),
    ("cut.parquet", b"PAR1 cut short", "not a Parquet file or is damaged"),
    ("cut.csv.gz", gzip.compress(HEADER.encode() + b"1,2,3\n" * 9999)[:-20], "damaged or cut short"),
    ("cut_head.csv.gz", gzip.compress(HEADER.encode() * 10)[:15], "damaged or cut short"),
    ("cut.zip", b"PK\3\4 cut short", "is not a zip archive"),
    ("broken.zip", broken_zip, "damaged or cut short .*CRC"),
    ("two.zip", zipped("a.csv", "b.csv"), r"several files \(a.csv, b.csv\).*--member"),
    ("none.zip", zipped(), "has no files"),
    ("data.tar.gz", gzip.compress(b"x"), "unpack it first"),
]


@pytest.mark.parametrize(("name", "content", "message"), CASES, ids=[case[0] for case in CASES])
def test_one_line(
    name: str, content: str | bytes | Callable[[Path], None] | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        content(path)
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 300


def test_a_missing_file_has_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text(HEADER)
    with pytest.raises(DataError, match=r"did you mean '.*ratings.csv'"):
        read_table(tmp_path / "rating.csv")


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no files"):
        read_table(tmp_path)


def test_member_of_what_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,3\n")
    with pytest.raises(DataError, match="neither a zip nor a folder"):
        read_table(tmp_path / "a.csv", member="b.csv")


@pytest.mark.parametrize("content", ["5,3,2005-09-06\n1:\n5,3,2005-09-06\n", "5,3,2005-09-06\n"])
def test_netflix_must_begin_with_a_movie(content: str, tmp_path: Path) -> None:
    (tmp_path / "combined_data_1.txt").write_text(content)
    with pytest.raises(DataError, match="does not begin with a movie line"):
        read_table(tmp_path / "combined_data_1.txt", source_format="netflix")


def test_headerless_layouts_have_no_column_names(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::2::3::4\n")
    with pytest.raises(DataError, match="names no columns"):
        read_table(tmp_path / "ratings.dat", ColumnNames(user="u"))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (ColumnNames(user="usr_id"), r"no column 'usr_id' \(--user-column\).*did you mean 'user_id'"),
        (
            ColumnNames(rating="stars"),
            r"no column 'stars' \(--rating-column\); the columns are user_id, item_id, r",
        ),
        (ColumnNames(timestamp="when"), "no column 'when'"),
        (ColumnNames(item="user_id"), "'user_id' is both user and item"),
        (ColumnNames(rating="ITEM_ID"), "'item_id' is both item and rating"),
    ],
)
def test_columns_told_wrongly(told: ColumnNames, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "1,2,3\n")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "a.csv", told)
