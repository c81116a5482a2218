"""Text tables: whatever the separator and the quotes, ids keep their text, and a bad line is told by its number."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.sources.columns import ColumnNames, Told
from distrecvae.data.sources.delimited import NO_RATING, read_delimited, read_headerless
from distrecvae.data.sources.opening import Part
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

ANY = Told()


def written(folder: Path, content: str | bytes, name: str = "a.csv") -> Part:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Part(path)


def rows(table: InteractionTable) -> list[tuple[str, str, float | None]]:
    users, items = (
        [str(id_) for id_ in ids[at].tolist()]
        for ids, at in ((table.user_ids, table.users), (table.item_ids, table.items))
    )
    ratings = [None] * table.n_rows if table.ratings is None else table.ratings.tolist()
    return list(zip(users, items, ratings, strict=True))


def refusal(part: Part, *, typed_header: bool = False) -> str:
    with pytest.raises(DataError) as refused:
        read_delimited(part, ANY, typed_header=typed_header)
    assert "\n" not in str(refused.value)
    return str(refused.value)


CONVERT = "convert it first, or say what it is with --encoding"
NUMBERS = (
    "ratings must be numbers, with a point and without thousands separators: correct it, or leave ratings out with"
    " --rating-column none"
)

WORDS = st.text(st.sampled_from('ab7",;\t| é:'), min_size=1, max_size=5).filter(
    lambda text: text.strip() == text and text not in NO_RATING
)


@given(
    st.lists(st.tuples(WORDS, WORDS, st.integers(0, 9) | st.floats(-1e6, 1e6)), min_size=1, max_size=8),
    st.sampled_from(",\t;|"),
    st.sampled_from(["\n", "\r\n"]),
)
def test_against_pythons_csv(
    tmp_path_factory: pytest.TempPathFactory,
    written_rows: list[tuple[str, str, float]],
    delimiter: str,
    end: str,
) -> None:
    """Separators, quotes and line ends within ids, as Python's writer quotes them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["user", "note", "item", "rating"])
    writer.writerows((user, "x\ny", item, rating) for user, item, rating in written_rows)
    part = written(tmp_path_factory.mktemp("csv"), text.getvalue())
    assert rows(read_delimited(part, ANY)) == written_rows


def test_ids_keep_their_text_and_numbers_are_numbers(tmp_path: Path) -> None:
    table = read_delimited(written(tmp_path, "user,item\n007,10\n7,9\n007,9\n"), ANY)
    assert table.user_ids.tolist() == ["007", "7"]
    assert table.item_ids.tolist() == [9, 10]
    assert rows(table) == [("007", "10", None), ("7", "9", None), ("007", "9", None)]
    assert table.source == {
        "path": str(tmp_path / "a.csv"),
        "format": "csv",
        "columns": {"user": "user", "item": "item"},
    }


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("user,item,a;b", "1,2,3"),
        ("user;item;a,b", "1;2;3"),
        ("user\titem\ta|b", "1\t2\t3"),
        ("a,b|user|item|c", "x|1|2|3"),
    ],
)
def test_the_separator_is_what_the_header_uses_most(header: str, line: str, tmp_path: Path) -> None:
    table = read_delimited(written(tmp_path, f"{header}\n{line}\n"), ANY)
    assert rows(table) == [("1", "2", None)]


def test_a_byte_order_mark_and_spaces_are_no_part_of_a_name(tmp_path: Path) -> None:
    table = read_delimited(written(tmp_path, b"\xef\xbb\xbfuser , item,rating\r\n1,2,3\r\n"), ANY)
    assert table.source["columns"] == {"user": "user", "item": "item", "rating": "rating"}
    assert rows(table) == [("1", "2", 3.0)]


def test_a_type_after_a_colon_is_cut_off_where_a_header_has_types(tmp_path: Path) -> None:
    content = "user_id:token\titem_id:token\trating:float\n1\t2\t3\n"
    table = read_delimited(written(tmp_path, content), ANY, typed_header=True)
    assert table.source["format"] == "recbole"
    assert table.source["columns"] == {"user": "user_id", "item": "item_id", "rating": "rating"}
    # Elsewhere a colon is the name's own.
    told = Told(columns=ColumnNames(user="who:id", item="what:id"))
    table = read_delimited(written(tmp_path, "who:id,what:id\n1,2\n"), told)
    assert table.source["columns"] == {"user": "who:id", "item": "what:id"}


def test_columns_that_are_not_needed_may_hold_anything(tmp_path: Path) -> None:
    content = 'timestamp,user,review,item\nyesterday,1,"so\nlong, ""well""",2\n,3,,4\n'
    assert rows(read_delimited(written(tmp_path, content), ANY)) == [("1", "2", None), ("3", "4", None)]


@pytest.mark.parametrize("nothing", NO_RATING)
def test_what_stands_for_nothing_is_a_missing_rating(nothing: str, tmp_path: Path) -> None:
    table = read_delimited(written(tmp_path, f"user,item,rating\n1,2,{nothing}\n3,4,5\n"), ANY)
    np.testing.assert_array_equal(table.ratings, [np.nan, 5.0])


@pytest.mark.parametrize("nothing", [text for text in NO_RATING if text])
def test_an_item_may_be_called_as_nothing_is_and_it_is_said(nothing: str, tmp_path: Path) -> None:
    """They were dropped as missing: a band is called NA, a user null."""
    part = written(tmp_path, f"user,item\n1,a\n2,{nothing}\n")
    table = read_delimited(part, ANY)
    assert rows(table) == [("1", "a", None), ("2", nothing, None)]
    (note,) = table.source["notes"]
    assert repr(nothing) in note
    assert f"--missing {nothing}" in note
    left = read_delimited(part, Told(missing=(nothing,)))
    assert rows(left) == [("1", "a", None)]
    assert left.source["rows_without_id"] == 1


@pytest.mark.parametrize(("line", "role"), [(",4,5", "user"), ("3,  ,5", "item")])
def test_an_empty_id_is_refused_or_left_out_as_told(line: str, role: str, tmp_path: Path) -> None:
    part = written(tmp_path, f"user,item,rating\n1,2,3\n{line}\n")
    assert refusal(part) == (
        f"{part} has rows whose {role} id is missing (column '{role}', empty or NaN in 1 of them, first in line 3);"
        " remove them, or leave them out with --missing ''"
    )
    assert rows(read_delimited(part, Told(missing=("",)))) == [("1", "2", 3.0)]


def test_quotes_do_not_make_nothing_something(tmp_path: Path) -> None:
    assert "user id is missing" in refusal(written(tmp_path, 'user,item\n"",2\n'))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "{} is empty; it must hold a header line and interactions"),
        (" \n\r\n", "{} is empty; it must hold a header line and interactions"),
        ("user,item", "{} has a header and no rows; it must hold interactions"),
        ("user,item\n\r\n", "{} has a header and no rows; it must hold interactions"),
        ("u\0s,i", "{} is not text (it has zero bytes); give a CSV, TSV or Parquet file"),
        (
            "usér,item\n1,2\n".encode("latin-1"),
            "{} is not UTF-8 text (invalid continuation byte at byte 2); " + CONVERT,
        ),
        (
            b"user,item\n1,2\n\xe9,3\n",
            "{} is not UTF-8 text in line 3; " + CONVERT,
        ),
        (
            "user,item\n1,2\n3\n",
            "{} has 1 fields in line 3 and 2 in its first; every line must have as many",
        ),
        (
            "user,item\n1,2,3\n",
            "{} has 3 fields in line 2 and 2 in its first; every line must have as many",
        ),
        (
            "user,item,Stars\n1,2,3\n1,3,good\n",
            "{} has rating 'good' in line 3 (column 'Stars'); " + NUMBERS,
        ),
        (
            'user,item,rating\n1,2,"a\nb"\n',
            "{} has rating 'a\\nb' in line 2 (column 'rating'); " + NUMBERS,
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(content: str | bytes, said: str, tmp_path: Path) -> None:
    part = written(tmp_path, content)
    assert refusal(part) == said.format(part)


def test_a_bad_line_far_into_a_file_is_told_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read on all cores, a block knows its own lines alone; so what fails is read once more in order.
    monkeypatch.setattr("distrecvae.data.sources.delimited._BLOCK_BYTES", 1 << 10)
    lines = ["user,item,rating", *(f"{number},{number},1" for number in range(3000))]
    lines[2500] = "7,8,good"
    part = written(tmp_path, "\n".join(lines))
    assert "rating 'good' in line 2501 " in refusal(part)


def test_a_typed_header_is_refused_as_others_are(tmp_path: Path) -> None:
    said = refusal(written(tmp_path, "user_id:token\twhat:token\n1\t2\n"), typed_header=True)
    assert "no column looks like the item" in said
    assert "the columns are user_id, what;" in said


RATED = ("user", "item", "rating", "timestamp")


@pytest.mark.parametrize("delimiter", ["::", "\t"])
def test_a_table_without_a_header_begins_with_its_first_line(delimiter: str, tmp_path: Path) -> None:
    lines = [["1", "10", "3.5", "964982703"], ["2", "9", "", "x"]]
    part = written(tmp_path, "\r\n".join(delimiter.join(line) for line in lines), "ratings.dat")
    table = read_headerless(part, RATED, "movielens", delimiter)
    assert [row[:2] for row in rows(table)] == [("1", "10"), ("2", "9")]
    np.testing.assert_array_equal(table.ratings, [3.5, np.nan])
    assert table.source == {"path": str(part), "format": "movielens"}


def test_a_table_without_a_header_has_its_columns_in_the_order_told(tmp_path: Path) -> None:
    part = written(tmp_path, "i\tu\nj\tu\n")
    table = read_headerless(part, ("item", "user"), "msd", "\t")
    assert rows(table) == [("u", "i", None), ("u", "j", None)]
    assert table.source["format"] == "msd"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1::2::3::4\n1::2::good::4\n", "rating 'good' in line 2 (column 'rating')"),
        ("1::2::3::4\n1::2::3\n", "has 3 fields in line 2 and 4 in its first"),
        (
            "1::2::3::4\n::2::3::4\n",
            "user id is missing (column 'user', empty or NaN in 1 of them, first in line 2)",
        ),
        ("", "is empty"),
    ],
)
def test_a_table_without_a_header_counts_its_lines_from_the_first(
    content: str, said: str, tmp_path: Path
) -> None:
    part = written(tmp_path, content)
    with pytest.raises(DataError) as refused:
        read_headerless(part, RATED, "movielens", "::")
    assert said in str(refused.value)
    assert str(refused.value).startswith(str(part))
