"""What is seen of bytes on the way to Arrow is what an exact reading finds, wherever the stretches are cut."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distrecvae.data.sources.lines import LineError, physical_lines, records
from distrecvae.data.sources.watching import Watched
from distrecvae.errors import DataError


def watched(content: bytes, size: int) -> Watched:
    seen = Watched(io.BytesIO(content), ",", what="a.csv")
    while seen.read(size):
        pass
    return seen


@given(st.text(st.sampled_from('a",\n'), max_size=24), st.integers(1, 30))
@example('"a\n""', 1)
@example('a,"b"\n"', 6)
def test_quotes_are_judged_as_by_the_exact_reading(text: str, size: int) -> None:
    content = text.encode()
    seen = watched(content, size)
    assert seen.any_quote is ('"' in text)
    try:
        found = list(records(physical_lines(io.BytesIO(content)), b",", quoted=True))
    except LineError:
        assert seen.misplaced
        return
    # A quote within an unquoted field is fine to read, and reason enough for the exact reading to look at it.
    if not seen.misplaced:
        assert seen.spans is any(record.spanned for record in found)
        # One whose quoted fields are all well closed: no line end in them means that Arrow cuts at each.
        assert seen.spans or len(found) == sum(bool(line) for line in text.split("\n"))


def test_zero_bytes_are_seen() -> None:
    assert watched(b"a,b\n1,\0\n", 3).any_zero
    assert not watched(b"a,b\n1,0\n", 3).any_zero


def test_too_many_rows_end_the_reading() -> None:
    seen = Watched(io.BytesIO(b"1\n" * 10), ",", what="a.csv", max_rows=5)
    seen.read(8)
    with pytest.raises(DataError, match=r"a\.csv has more than 5 rows; raise --max-rows"):
        seen.read(8)
