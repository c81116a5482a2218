"""Ids become positions: what counts as a number, how ids sort, what is no id at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distrecvae.data import ids as ids_module
from distrecvae.data.ids import clean_ids, factorize
from distrecvae.errors import DataError


@given(st.lists(st.text(max_size=4), min_size=1, max_size=40), st.integers(1, 4))
def test_text_round_trips_in_sorted_order(texts: list[str], n_chunks: int) -> None:
    """Whatever chunks a reader made; sorted as pandas and Python sort text."""
    chunks = [pa.array(texts[n::n_chunks], pa.string()).dictionary_encode() for n in range(n_chunks)]
    written = [text for n in range(n_chunks) for text in texts[n::n_chunks]]
    codes, ids = factorize(pa.chunked_array(chunks), "user")
    assert [str(value) for value in ids[codes].tolist()] == written
    expected = sorted(set(texts)) if ids.dtype == object else sorted(set(map(int, texts)))
    assert ids.tolist() == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_whole_numbers_sort_as_numbers(numbers: list[int]) -> None:
    for column in (pa.array(numbers, pa.int64()), pa.array([str(n) for n in numbers])):
        codes, ids = factorize(column, "item")
        assert codes.dtype == np.int32
        assert ids.dtype == np.int64
        assert ids.tolist() == sorted(set(numbers))
        assert ids[codes].tolist() == numbers


@pytest.mark.parametrize("odd", ["007", "+7", "7.0", "1e3", "9223372036854775808", "x"])
def test_one_odd_id_keeps_all_text(odd: str) -> None:
    """ "007" and "7" are two people: numbers are made of ids only where nothing is lost."""
    codes, ids = factorize(pa.array(["10", odd, "9"]), "user")
    assert ids.dtype == object
    assert ids[codes].tolist() == ["10", odd, "9"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([3.0, 1.0, 3.0]), [3, 1, 3]),  # integers that pandas once made floats of
        (pa.array([2**64 - 1, 5], pa.uint64()), [str(2**64 - 1), "5"]),
        (pa.array([3, 1], pa.int8()), [3, 1]),
        (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
        (pa.array(["b", "a"], pa.string_view()), ["b", "a"]),
        (pa.array([7, 3]).dictionary_encode(), [7, 3]),
        (pa.array([], pa.string()), []),
    ],
)
def test_types_of_ids(column: pa.Array, expected: list[Any]) -> None:
    codes, ids = factorize(clean_ids(pa.chunked_array([column])), "user")
    assert ids[codes].tolist() == expected


@pytest.mark.parametrize("column", [pa.array([0.5, 1.0]), pa.array([True, False]), pa.array([[1], [2]])])
def test_what_cannot_be_an_id(column: pa.Array) -> None:
    with pytest.raises(DataError, match="text or whole numbers"):
        factorize(column, "user")


def test_ids_are_trimmed_and_empty_ones_null() -> None:
    column = pa.chunked_array([pa.array([" a", "a ", "b", "", " "]), pa.array(["nan", "NULL", None, "b "])])
    cleaned = clean_ids(column)
    assert cleaned.to_pylist() == ["a", "a", "b", None, None, "nan", "NULL", None, "b"]
    codes, ids = factorize(cleaned.drop_null(), "user")
    assert (codes.tolist(), ids.tolist()) == ([1, 1, 2, 3, 0, 2], ["NULL", "a", "b", "nan"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["1.0", "2.0", "10.0"]), [1, 2, 10]),  # what pandas writes of integers that once had a gap
        (pa.array(["1", "2.0", "2"]), [1, 2, 2]),
        (pa.array(["-3.0", "1e+05", "100000"]), [-3, 100000, 100000]),  # R
        (pa.array(["1.0", "x"]), ["1.0", "x"]),
        (pa.array(["1.0", "2.5"]), ["1.0", "2.5"]),
        (pa.array(["1.0", "007"]), ["1.0", "007"]),
        (pa.array(["1e3", "1e4"]), ["1e3", "1e4"]),  # may as well be the ends of hashes
        (pa.array([1, 2, 1], pa.decimal128(20, 0)), [1, 2, 1]),
        (pa.array([Decimal("1.00"), Decimal("2.00")], pa.decimal128(20, 2)), [1, 2]),
        (pa.array([b"a", b"b"], pa.binary()), ["a", "b"]),
        (pa.array([b"1", b"2"], pa.large_binary()), [1, 2]),
        (pa.array(["b", "a", "b"], pa.large_string()).dictionary_encode(), ["b", "a", "b"]),
        (pa.array([2.0, 1.0, 2.0]).dictionary_encode(), [2, 1, 2]),
        (pa.array([2.0, 1.0], pa.float32()), [2, 1]),
        (pa.array([-5, 3, -5]), [-5, 3, -5]),
        (pa.array(["-5", "3"]), [-5, 3]),
    ],
)
def test_whole_numbers_are_whole_numbers_however_they_are_written(
    column: pa.Array, expected: list[Any]
) -> None:
    """A model trained on a CSV knew nothing of `pd.read_csv` of the same file: "2.0" there was text, here 2."""
    codes, ids = factorize(clean_ids(pa.chunked_array([column])), "user")
    assert ids[codes].tolist() == expected


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pa.array([2.0**53 + 2]), "lost digits"),
        (pa.array(["9007199254740994.0"]), "lost digits"),
        (pa.array(["1.23457E+11", "5"]), "spreadsheet has rounded"),
        (pa.array([Decimal("1.50")], pa.decimal128(20, 2)), "not whole numbers"),
        (pa.array([float("inf"), 1.0]), "not whole numbers"),
        (pa.array([b"\xff"], pa.binary()), "not UTF-8"),
        (pa.array(["x" * 5000]), "5,000 bytes long"),
    ],
)
def test_ids_that_lost_what_tells_them_apart_are_refused(column: pa.Array, said: str) -> None:
    with pytest.raises(DataError, match=said):
        clean_ids(pa.chunked_array([column]), "x.csv: user")


def test_more_ids_than_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions are 32 bits wide; the limit is lowered here, since 2^31 ids do not fit a test."""
    monkeypatch.setattr(ids_module, "MAX_IDS", 3)
    factorize(pa.array(["a", "b", "c"]), "item")
    with pytest.raises(DataError, match="4 distinct item ids"):
        factorize(pa.array(["a", "b", "c", "d"]), "item")


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64", "uint64"])
@pytest.mark.parametrize(
    "numbers",
    [[5, 100, 7, 5], [-100, 27, -3], [-128, 127], [-100, 100, 45], [0], [2**40, 2**40 + 3]],
)
def test_dense_and_sparse_numbers_alike(kind: str, numbers: list[int]) -> None:
    """Dense ids are ranked by a table, sparse ones by hashing; narrow types must not wrap round."""
    limits = np.iinfo(kind)
    numbers = [n for n in numbers if limits.min <= n <= limits.max] or [1]
    for extra in ([], [limits.max, limits.min]):
        written = [*numbers, *extra]
        codes, ids = factorize(pa.array(written, kind), "user")
        assert [int(i) for i in ids[codes].tolist()] == written
        if ids.dtype == np.int64:
            assert ids.tolist() == sorted(set(written))
