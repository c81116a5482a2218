"""Lines and records, exactly: what quotes mean is told or refused with the line, and no row is swallowed."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data.sources import lines
from distrecvae.data.sources.lines import (
    Layout,
    LineError,
    first_fault,
    is_number,
    is_utf8,
    line_of,
    physical_lines,
    records,
)


@given(
    st.lists(st.sampled_from([b"a", b"", b'"x', b"1,2"]), max_size=6),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_lines_end_by_lf_crlf_or_cr(texts: list[bytes], end: bytes) -> None:
    content = b"".join(text + end for text in texts)
    assert list(physical_lines(io.BytesIO(content))) == texts
    assert list(physical_lines(io.BytesIO(content + b"z"))) == [*texts, b"z"]


def test_a_line_end_cut_between_two_stretches_is_one() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:  # noqa: ARG002
            return super().read(1)

    assert list(physical_lines(Slow(b"a\r\nb\rc\n\nd"))) == [b"a", b"b", b"c", b"", b"d"]


def test_a_line_without_end_is_refused_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 1 << 20)
    with pytest.raises(LineError, match="has a line 2 of more than 1 MiB"):
        list(physical_lines(io.BytesIO(b"a\n" + b"x" * (3 << 20))))


CELLS = st.text(st.sampled_from('a7",;\n \t'), max_size=5)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=6), st.sampled_from(",;\t"))
def test_what_pythons_writer_quotes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows(rows)
    found = records(physical_lines(io.BytesIO(text.getvalue().encode())), delimiter.encode(), quoted=True)
    assert [[field.decode() for field in record.fields] for record in found] == rows


def test_records_know_their_lines() -> None:
    content = b'a,b\n\n"c\nd",e\nf,"g ""h"""\n'
    found = list(records(physical_lines(io.BytesIO(content)), b",", quoted=True, first_line=5))
    assert [(record.line, record.fields) for record in found] == [
        (5, [b"a", b"b"]),
        (7, [b"c\nd", b"e"]),
        (9, [b"f", b'g "h"']),
    ]
    assert found[1].spanned == (b'"c', b'd",e')
    literal = records(physical_lines(io.BytesIO(content)), b",", quoted=False)
    assert [record.fields for record in literal][1] == [b'"c']


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'a,b\n1,"c\n2,d\n', "in line 2 that opens a field and is never closed"),
        (b'a,b\n1,"c"x\n', "in line 2 in the middle of a field that begins with one"),
    ],
)
def test_quotes_out_of_place_are_told_with_their_line(content: bytes, said: str) -> None:
    with pytest.raises(LineError, match=said):
        list(records(physical_lines(io.BytesIO(content)), b",", quoted=True))


def layout(n_columns: int, delimiter: bytes = b",", **changes: object) -> Layout:
    names = dict(zip(("user", "item", "rating")[:n_columns], ("user", "item", "rating"), strict=False))
    positions = {role: at for at, role in enumerate(names)}
    return Layout(
        delimiter=delimiter, n_columns=n_columns, positions=positions, names=names, first_line=2,
        quoted_header=bool(changes.get("quoted_header")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,2,3\n\n1,2\n", "has 2 fields in line 4 and 3 in its first"),
        (b"1,2,3\n1,2,good\n", "has rating 'good' in line 3"),
        (b"1,2,3\n1,\xff,4\n", "is not UTF-8 text in line 3"),
    ],
)
def test_the_first_fault_is_told_with_its_line(content: bytes, said: str) -> None:
    with pytest.raises(LineError, match=said):
        first_fault(layout(3), lambda: physical_lines(io.BytesIO(content)), quoted=True, nothing=frozenset())
    first_fault(
        layout(3), lambda: physical_lines(io.BytesIO(b"1,2,\n")), quoted=True, nothing=frozenset([b""])
    )


def test_the_line_of_a_row_counts_blank_and_quoted_lines() -> None:
    content = b'1,2,3\n\n\n4,5,6,"a\nb"\n7,8,9\n'
    found = [
        line_of(layout(3), lambda: physical_lines(io.BytesIO(content)), row, quoted=True) for row in range(3)
    ]
    assert found == [2, 5, 7]


def test_numbers_and_text() -> None:
    assert all(map(is_number, (b"1", b"-2.5", b"1e3", b"inf")))
    assert not any(map(is_number, (b"", b"x", b"1_0", "\u0663".encode())))
    assert is_utf8("é".encode())
    assert not is_utf8(b"\xe9")
