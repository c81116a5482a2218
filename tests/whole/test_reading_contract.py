"""The readers' contract: every reader gives the rows that are there, or refuses with the line; pandas and Polars agree.

One table of what people have: each input with the rows that it must give, or what a refusal must say. The promise is
that the number of rows read is the number of records in the file, or a line is named.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import ColumnNames
from distrecvae.data.sources.frames import read_frame
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

Row = tuple[Any, ...]
Content = str | bytes | Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """What a file holds, and what reading it gives: (user, item) or (user, item, rating) each, or a refusal's words."""

    name: str
    content: Content
    rows: list[Row] | None = None
    refused: str = ""
    told: dict[str, Any] = field(default_factory=dict)
    like_pandas: dict[str, Any] | None = None


def good(name: str, content: Content, *rows: Row, pandas: dict[str, Any] | None = None, **told: Any) -> Case:
    return Case(name, content, list(rows), told=told, like_pandas=pandas)


def bad(name: str, content: Content, refused: str, **told: Any) -> Case:
    return Case(name, content, refused=refused, told=told)


def parquet(**columns: Any) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.table(columns), path)


def parts(*tables: dict[str, Any]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        path.mkdir()
        for number, columns in enumerate(tables):
            pq.write_table(pa.table(columns), path / f"part-{number}.parquet")

    return write


def zipped(**members: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in members.items():
                archive.writestr(name.replace("_", "."), text)

    return write


U, H = "user_id,item_id\n", "user_id,item_id,rating\n"
AB = ((1, "a"), (2, "b"))
ABC = ((1, "a", 5.0), (2, "b", 3.5))
POSITIONS = {"header": False, "columns": ColumnNames(user="1", item="2")}

# fmt: off
CASES = [
    # plain
    good("a.csv", U + "1,a\n2,b\n", *AB, pandas={}),
    good("a.csv", H + "1,a,5\n2,b,3.5\n", *ABC, pandas={}),
    good("a.csv", H + "1,a,5\n2,b,3.5", *ABC, pandas={}),
    good("a.tsv", "user_id\titem_id\n1\ta\n2\tb\n", *AB, pandas={"sep": "\t"}),
    good("a.csv", "user_id;item_id\n1;a\n2;b\n", *AB, pandas={"sep": ";"}),
    good("a.csv", "user_id|item_id\n1|a\n2|b\n", *AB, pandas={"sep": "|"}),
    good("a.txt", "user_id item_id\n1 a\n2 b\n", *AB, pandas={"sep": " "}),
    # line ends
    good("windows.csv", H.replace("\n", "\r\n") + "1,a,5\r\n2,b,3.5\r\n", *ABC, pandas={}),
    good("mac.csv", H.replace("\n", "\r") + "1,a,5\r2,b,3.5\r", *ABC, pandas={}),
    good("mac_no_end.csv", "user_id,item_id\r1,a\r2,b", *AB, pandas={}),
    good("mixed.csv", "user_id,item_id\r\n1,a\n2,b\r", *AB, pandas={}),
    # encodings
    good("bom.csv", codecs.BOM_UTF8 + (U + "1,a\n2,b\n").encode(), *AB, pandas={}),
    good("bom_quoted.csv", codecs.BOM_UTF8 + b'"user_id","item_id"\r\n"1","a"\r\n"2","b"\r\n', *AB, pandas={}),
    good("utf16.csv", (U + "1,a\n2,b\n").encode("utf-16"), *AB, pandas={"encoding": "utf-16"}),
    good("unicode_text.txt", ("user_id\titem_id\r\n1\ta\r\n2\tb\r\n").encode("utf-16"), *AB),
    good("utf16be.csv", codecs.BOM_UTF16_BE + (U + "1,é\n").encode("utf-16-be"), (1, "é")),
    good("utf32.csv", (U + "1,a\n2,b\n").encode("utf-32"), *AB),
    good("latin.csv", (U + "1,é\n").encode("latin-1"), (1, "é"), encoding="latin-1"),
    bad("latin.csv", (U + "1,a\n2,é\n").encode("latin-1"), r"not UTF-8 text in line 3; .*--encoding"),
    bad("zeros.csv", U.encode() + b"1,a\n2,\0b\n", "zero bytes"),
    # before the header
    good("sep.csv", "sep=;\r\nuser_id;item_id\r\n1;a\r\n2;b\r\n", *AB),
    good("sep_comma.csv", "SEP=,\n" + U + "1,a\n2,b\n", *AB),
    good("blank_first.csv", "\n\n" + U + "1,a\n2,b\n", *AB, pandas={}),
    good("comments.csv", "# exported\n# by a tool\n" + U + "1,a\n2,b\n", *AB, pandas={"comment": "#"}),
    good("blank_between.csv", U + "1,a\n\n\n2,b\n\n", *AB, pandas={}),
    # quotes
    good("quoted.csv", '"user_id","item_id"\n"1","a"\n"2","b"\n', *AB, pandas={}),
    good("comma_in_id.csv", U + '1,"a,b"\n2,b\n', (1, "a,b"), (2, "b"), pandas={}),
    good("doubled.csv", U + '1,"a""b"\n2,b\n', (1, 'a"b'), (2, "b"), pandas={}),
    good("inches.csv", U + '1,5" pipe\n2,b\n', (1, '5" pipe'), (2, "b"), pandas={}),
    good("title.csv", 'user_id,item_id,title\n1,a,"so\nlong"\n2,b,x\n', *AB, pandas={}),
    good("title_first.csv", 'title,user_id,item_id\n"so\r\nlong, ""well""",1,a\nx,2,b\n', *AB, pandas={}),
    good("header_lines.csv", 'user_id,item_id,"the\ntitle"\n1,a,x\n2,b,y\n', *AB, pandas={}),
    good("stray.csv", U + '1,"a\n2,"b\n3,"c\n4,d', (1, '"a'), (2, '"b'), (3, '"c'), (4, "d")),
    good("one_stray.csv", U + '1,a\n2,"Heroes\n3,c\n', (1, "a"), (2, '"Heroes'), (3, "c")),
    good("stray.tsv", 'user_id\titem_id\n1\t"a\n2\t"b\n3\tc\n', (1, '"a'), (2, '"b'), (3, "c")),
    good("stray.inter", 'user_id:token\titem_id:token\n1\t"a\n2\tb"\n', (1, '"a'), (2, 'b"')),
    good("stray.dat", '1::"a::5::9\n2::b"::3.5::9\n', (1, '"a', 5.0), (2, 'b"', 3.5)),
    good("pair.csv", U + '1,"a\n2,b"\n3,c\n', (1, '"a'), (2, 'b"'), (3, "c")),
    bad("stray_among_quoted.csv", U + '1,"a,1"\n2,"Heroes\n3,c\n', "quote in line 3 that opens"),
    bad("swallow.csv", 'user_id,item_id,t\n1,a,"x\n2,b,y\n3,c,z"\n', "quote in line 2 that is closed 2 line"),
    bad("id_over_lines.csv", U + '"1","a\nb"\n', "line 2 that makes the item id continue in the next line"),
    bad("after_quote.csv", U + '1,"a"b\n2,"c"\n', "quote in line 2 in the middle"),
    bad("space_quote.csv", U + '1, "a"\n2,"b"\n', "space beside the quotes of the item id in line 2"),
    # headers
    bad("no_header.csv", "1,2,3.5\n1,3,4.0\n", "looks like data"),
    bad("amazon.csv", "A001XYZ,B000000027,4.5,1400146039\nA2,B3,1.0,1\n", "looks like data"),
    bad(
        "amazon_told.csv", "A001XYZ,B000000027,4.5,1400146039\nA2,B3,1.0,1\n", "looks like data",
        columns=ColumnNames(user="A001XYZ", item="B000000027"),
    ),
    bad("yoochoose.dat", "1,2014-04-07T10:51:09.277Z,214536502,0\n", "looks like data"),
    good(
        "yoochoose.dat", "1,2014-04-07T10:51:09.277Z,214536502,0\n2,2014-04-07T11:00:00.000Z,214536500,0\n",
        (1, 214536502), (2, 214536500), header=False, columns=ColumnNames(user="1", item="3"),
    ),
    good("no_header_told.csv", "1,a\n2,b\n", *AB, pandas={"header": None}, **POSITIONS),
    bad("positions.csv", "1,a\n2,b\n", "position from 1 to 2", header=False,
        columns=ColumnNames(user="1", item="9")),
    bad("no_positions.csv", "1,a\n2,b\n", "by position", header=False),
    good("numeric_column.csv", "user_id,item_id,2020\n1,a,x\n2,b,y\n", *AB, pandas={}),
    good("told_header.csv", "who,7\n1,a\n2,b\n", *AB, header=True, columns=ColumnNames(user="who", item="7")),
    bad("header_twice.csv", U + "1,a\n" + U + "2,b\n", "header a second time, in line 3"),
    bad(
        "words_no_header.csv", "ann,film\nbob,film\nann,book\n", "'ann' is the name of the user column",
        columns=ColumnNames(user="ann", item="film"),
    ),
    bad("two_same.csv", "user_id,item_id,user_id\n1,a,2\n", "two columns 'user_id'"),
    bad("two_alike.csv", "user_id,userId,item\n1,a,2\n", "'user_id' and 'userId' may both be the user"),
    bad("artist_track.csv", "user,artist,track\n1,a,b\n", "'artist' or 'track' may be the item"),
    bad("session.csv", "user,sid\n1,a\n", "'sid' may be a session"),
    bad("wide.csv", "x" * (1 << 21) + ",item_id\n1,a\n", "a line 1 of more than 1 MiB"),
    bad("empty.csv", "", "is empty"),
    bad("blank.csv", "\n \n", "is empty"),
    bad("header.csv", U, "has a header and no rows"),
    bad("header_blank.csv", U + "\n\n", "has a header and no rows"),
    good("index.csv", ",user_id,item_id\n0,1,a\n1,2,b\n", *AB, pandas={}),
    good("trailing.csv", "user_id,item_id,\n1,a,\n2,b,\n", *AB, pandas={}),
    bad("excel_blank.csv", U + "1,a\n,\n", "user id is missing .* line 3"),
    bad("dos_end.csv", U + "1,a\n\x1a", "1 fields in line 3"),
    # widths
    bad("short.csv", H + "1,a,5\n2,b\n", "2 fields in line 3 and 3"),
    bad("long.csv", U + "1,a\n\n2,b,c\n", "3 fields in line 4 and 2"),
    bad("long_line.csv", H + "1,a,5\n2,b," + "3" * (9 << 20) + "\n", "rating that is not finite in row 2"),
    bad("longest_line.csv", H + "1,a,5\n2," + "b" * (20 << 20) + ",5\n", "line 3 of more than 8 MiB"),
    # ids
    good("floats.csv", U + "1.0,10.0\n2.0,20.0\n", (1, 10), (2, 20), pandas={}),
    good("halves.csv", U + "1.5,a\n2.0,b\n", ("1.5", "a"), ("2.0", "b")),
    good("zeros_first.csv", U + "007,a\n7,b\n", ("007", "a"), ("7", "b")),
    good("negative.csv", U + "-1,a\n2,b\n", (-1, "a"), (2, "b"), pandas={}),
    good("joined.csv", "\ufeff\ufeff" + U + "1,a\n\ufeff2,\u200bb\n", *AB),
    good("spaces.csv", U + " 1 , a\n2,b \n", *AB),
    good("huge.csv", U + "9223372036854775808,a\n2,b\n", ("9223372036854775808", "a"), ("2", "b")),
    good("int64.csv", U + "9223372036854775807,a\n2,b\n", (9223372036854775807, "a"), (2, "b"), pandas={}),
    good("na.csv", U + "1,NA\n2,null\n3,None\n4,nan\n", (1, "NA"), (2, "null"), (3, "None"), (4, "nan"),
         pandas={"keep_default_na": False}),
    good("na_told.csv", U + "1,NA\n2,b\n", (2, "b"), missing=["NA"], pandas={"na_values": ["NA"]}),
    good("minus_one_told.csv", U + "-1,a\n2,b\n", (2, "b"), missing=["-1"]),
    bad("no_id.csv", U + "1,a\n\n,b\n", "user id is missing .* first in line 4"),
    good("no_id_told.csv", U + ",a\n2,b\n", (2, "b"), missing=[""]),
    bad("spreadsheet.csv", U + "1.23457E+11,a\n2,b\n", "spreadsheet has rounded"),
    good("r.csv", U + "1e+05,a\n2,b\n", (100000, "a"), (2, "b"), pandas={}),
    # ratings
    good("empty_rating.csv", H + "1,a,\n2,b,NA\n", (1, "a", np.nan), (2, "b", np.nan), pandas={}),
    bad("thousands.csv", H + '1,a,"1,234"\n', "rating '1,234' in line 2"),
    bad("comma.csv", "user_id;item_id;rating\n1;a;3,5\n", "rating '3,5' in line 2"),
    bad("inf.csv", H + "1,a,5\n2,b,inf\n", "not finite in line 3"),
    bad("words.csv", "user_id,item_id,preference\n1,a,like\n", "rating 'like' in line 2 .*--rating-column none"),
    good("words_none.csv", "user_id,item_id,preference\n1,a,like\n2,b,x\n", *AB,
         columns=ColumnNames(rating="none")),
    # limits
    bad("many.csv", U + "1,a\n2,b\n3,c\n", "more than 2 rows", max_rows=2),
    bad("many.parquet", parquet(user_id=[1, 2, 3], item_id=[1, 2, 3]), "3 rows, more than 2", max_rows=2),
    bad("effect.parquet", parquet(user_id=[1], item_id=[1]), "--no-header", header=False),
    # published layouts
    good("atomic.inter", "user_id:token item_id:token rating:float\n1 a 5\n2 b 3.5\n", *ABC),
    good("ratings.dat", "1::a::5::964982703\n2::b::3.5::964982703\n", *ABC),
    good("u.data", "1\ta\t5\t881250949\n2\tb\t3.5\t881250949\n", *ABC),
    good("combined_data_1.txt", "7:\n1,5,2005-09-06\n2,-1,2005-09-06\n", (1, 7, 5.0), (2, 7, -1.0)),
    bad("combined_data_1.txt", "7:\n1,5,2005-09-06\n\n,4,2005-09-06\n", "user id is missing .* line 4"),
    bad("combined_data_1.txt", "7:\n1,5,2005-09-06\nx,5,2005-09-06\n", "line 3 .*'x,5,2005-09-06'"),
    good("combined_data_1.txt", "7:\r1,5,2005-09-06\r8:\r2,3,x\r", (1, 7, 5.0), (2, 8, 3.0)),
    good("train_triplets.txt", "1\ta\t5\n2\tb\t3.5\n", *ABC),
    # JSON lines
    good("yelp.json", '{"user_id":"1","business_id":"a","stars":5}\n{"user_id":"2","business_id":"b","stars":3.5}\n',
         *ABC),
    bad("array.json", '[{"user_id":1}]', "JSON array"),
    # Parquet
    good("a.parquet", parquet(user_id=[1, 2], item_id=["a", "b"], rating=[5.0, 3.5]), *ABC),
    good("na.parquet", parquet(user_id=[1, 2], item_id=["NA", "null"]), (1, "NA"), (2, "null")),
    good("floats.parquet", parquet(user_id=[1.0, 2.0], item_id=["a", "b"]), *AB),
    good("decimals.parquet", parquet(user_id=pa.array([Decimal(1), Decimal(2)], pa.decimal128(9, 2)),
                                     item_id=["a", "b"]), *AB),
    good("bytes.parquet", parquet(user_id=[1, 2], item_id=[b"a", b"b"]), *AB),
    good("large.parquet", parquet(user_id=[1, 2], item_id=pa.array(["a", "b"], pa.large_string())), *AB),
    good("dictionary.parquet", parquet(user_id=[1, 2], item_id=pa.array(["a", "b"]).dictionary_encode()), *AB),
    good("parts", parts({"user_id": pa.array([1], pa.int32()), "item_id": ["a"]},
                        {"user_id": pa.array([], pa.int64()), "item_id": pa.array([], pa.string())},
                        {"user_id": pa.array([2], pa.int64()), "item_id": pa.array(["b"], pa.large_string())}), *AB),
    good("float_parts", parts({"user_id": [1], "item_id": ["a"]}, {"user_id": [2.0], "item_id": ["b"]}), *AB),
    bad("nulls.parquet", parquet(user_id=[1, None], item_id=["a", "b"]), "first in row 2"),
    bad("times.parquet", parquet(user_id=pa.array([1], pa.timestamp("s")), item_id=["a"]), "text or whole numbers"),
    bad("lists.parquet", parquet(user_id=[[1]], item_id=["a"]), "text or whole numbers"),
    bad("inf.parquet", parquet(user_id=[1], item_id=["a"], rating=[float("inf")]), "not finite in row 1"),
    bad("past_exact.parquet", parquet(user_id=[2.0**53], item_id=["a"]), "lost digits"),
    bad("zero_bytes.parquet", parquet(user_id=[b"a\0b"], item_id=["a"]), "zero bytes"),
    bad("cut.csv", b"PK\x03\x04", "zip archive that is cut short"),
    bad("no_encoding.csv", U + "1,a\n", "encoding 'base64' is not known", encoding="base64"),
    # packed
    good("a.csv.gz", gzip.compress((U + '1,"a"\n2,b\n').encode()), *AB, pandas={}),
    good("a.zip", zipped(a_csv=U + '1,"a"\n2,b\n'), *AB, pandas={}),
    good("gzip_utf16.csv.gz", gzip.compress((U + "1,a\n2,b\n").encode("utf-16")), *AB),
    bad("two.zip", zipped(a_csv=U, b_csv=U), "--member"),
]
# fmt: on


def rows_of(table: InteractionTable) -> list[Row]:
    users, items = table.user_ids[table.users].tolist(), table.item_ids[table.items].tolist()
    if table.ratings is None:
        return list(zip(users, items, strict=True))
    return list(zip(users, items, table.ratings.tolist(), strict=True))


def written(case: Case, folder: Path) -> Path:
    path = folder / case.name
    if callable(case.content):
        case.content(path)
    else:
        path.write_bytes(case.content if isinstance(case.content, bytes) else case.content.encode())
    return path


def same(found: list[Row], expected: list[Row]) -> bool:
    return repr(found) == repr(expected)  # NaN is itself in words


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_rows_that_are_there_or_a_refusal(case: Case, tmp_path: Path) -> None:
    path = written(case, tmp_path)
    if case.rows is not None:
        assert same(rows_of(read_table(path, **case.told)), case.rows)
        return
    with pytest.raises((DataError, ConfigError), match=case.refused) as refused:
        read_table(path, **case.told)
    said = str(refused.value).replace(str(tmp_path), "")
    assert "\n" not in said
    assert len(said) < 500


PANDAS = [case for case in CASES if case.like_pandas is not None]


@pytest.mark.parametrize("case", PANDAS, ids=lambda case: case.name)
def test_pandas_reads_the_same_rows(case: Case, tmp_path: Path) -> None:
    """`pd.read_csv` of the file, handed over as a DataFrame, is the file."""
    frame = pd.read_csv(written(case, tmp_path), **(case.like_pandas or {}))
    if case.told.get("header") is False:
        frame = frame.rename(columns={0: "user_id", 1: "item_id"})
    frame = frame.dropna(subset=["user_id", "item_id"])
    assert case.rows is not None
    assert same(rows_of(read_frame(frame)), case.rows)


UNLIKE_POLARS = {
    "mac.csv": "a carriage return alone ends no line there",
    "mac_no_end.csv": "the same",
    "utf16.csv": "it reads UTF-8",
    "inches.csv": "a quote within a field is an error there",
    "no_header_told.csv": "asked for by position here",
    "empty_rating.csv": "NA makes a column text there",
    "a.zip": "it opens no archives",
}
"""Where Polars says otherwise, and what."""
POLARS = [case for case in PANDAS if case.name not in UNLIKE_POLARS]


@pytest.mark.parametrize("case", POLARS, ids=lambda case: case.name)
def test_polars_reads_the_same_rows(case: Case, tmp_path: Path) -> None:
    """What another reader takes the file for, column by column, handed over as a DataFrame."""
    told = case.like_pandas or {}
    found = pl.read_csv(
        written(case, tmp_path),
        separator=told.get("sep", ","),
        comment_prefix=told.get("comment"),
        null_values=told.get("na_values"),
    )
    frame = pd.DataFrame({name: found[name].to_list() for name in found.columns})
    assert case.rows is not None
    assert same(rows_of(read_frame(frame.dropna(subset=["user_id", "item_id"]))), case.rows)


FRAMES: list[tuple[dict[str, Any], list[Row] | str]] = [
    ({"user_id": [1, 2], "item_id": ["a", "b"]}, [*AB]),
    ({"user_id": [1.0, 2.0], "item_id": ["a", "b"]}, [*AB]),
    ({"user_id": pd.array([1, 2], dtype="Int64"), "item_id": pd.array(["a", "b"], dtype="string")}, [*AB]),
    ({"user_id": pd.Categorical([1, 2]), "item_id": pd.Categorical(["a", "b"])}, [*AB]),
    ({"user_id": [1, 2], "item_id": ["NA", "None"]}, [(1, "NA"), (2, "None")]),
    ({"user_id": [1, 2], "item_id": [b"a", b"b"]}, [*AB]),
    (
        {"user_id": pd.array([1, None], dtype="Int64"), "item_id": ["a", "b"]},
        r"first in row 2 \(.iloc\[1\]\)",
    ),
    ({"user_id": [1, "x"], "item_id": ["a", "b"]}, "not all whole numbers or all text"),
    ({"user_id": [2**70, 1], "item_id": ["a", "b"]}, "not all whole numbers"),
    (
        {"user_id": [1, 2], "item_id": ["a", "b"], "rating": [1.0, np.inf]},
        r"not finite in row 2 \(.iloc\[1\]\)",
    ),
    ({"user_id": [np.array([1]), np.array([2])], "item_id": ["a", "b"]}, "text or whole numbers"),
    (
        {"user_id": pd.to_datetime(["2020-01-01", "2020-01-02"]), "item_id": ["a", "b"]},
        "text or whole numbers",
    ),
    ({"user_id": [True, False], "item_id": ["a", "b"]}, "text or whole numbers"),
]


@pytest.mark.parametrize(("columns", "expected"), FRAMES)
def test_frames(columns: dict[str, Any], expected: list[Row] | str) -> None:
    frame = pd.DataFrame(columns)
    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected) as refused:
            read_frame(frame)
        assert "\n" not in str(refused.value)
        return
    assert same(rows_of(read_frame(frame)), expected)


def test_a_table_is_the_same_in_every_format(tmp_path: Path) -> None:
    """A model that was trained on a CSV knew nothing of `pd.read_csv` of the same file."""
    frame = pd.DataFrame(
        {"user_id": [3.0, 1.0, 2.0], "item_id": ["NA", "b", "007"], "rating": [1.5, np.nan, -1.0]}
    )
    expected = [(3, "NA", 1.5), (1, "b", np.nan), (2, "007", -1.0)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.tsv", index=False, sep="\t", encoding="utf-16")
    frame.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(
        "\n".join(
            json.dumps(row | {"rating": None if row["rating"] != row["rating"] else row["rating"]})
            for row in frame.to_dict("records")
        )
    )
    buffer = io.BytesIO()
    frame.to_csv(buffer, index=False, quoting=2)
    (tmp_path / "quoted.csv.gz").write_bytes(gzip.compress(buffer.getvalue()))
    for name in ("a.csv", "a.tsv", "a.parquet", "a.json", "quoted.csv.gz"):
        assert same(rows_of(read_table(tmp_path / name)), expected), name
    assert same(rows_of(read_frame(frame)), expected)


def test_there_are_enough_cases() -> None:
    assert len(CASES) + len(FRAMES) >= 110
