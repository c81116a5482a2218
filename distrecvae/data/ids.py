"""Turns the texts or numbers of a column into ids, and ids into positions.

Kept apart from the table so that splitting needs NumPy alone; this needs Arrow, as the readers do.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from distrecvae.data.interactions import Int32Array
from distrecvae.errors import DataError

# Positions are int32 everywhere (half the memory traffic of int64), so this many users or items is the end.
MAX_IDS = 2**31 - 1

LONGEST_ID = 4096
"""Bytes of an id; what is longer is a text, or a file whose lines were not told apart."""

# Texts that some tools write where nothing is. An item may be called so: nothing is dropped for it, but it is said.
LOOKS_MISSING = frozenset(
    ("NaN", "nan", "NAN", "NULL", "null", "Null", "NA", "N/A", "n/a", "<NA>", "None", "none", "#N/A", "\\N")
)

INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
"""Byte order marks of files that were put together, and other characters that nobody sees: no part of an id."""

_EXACT = 2**53
"""Whole numbers from this one on are not told apart by a float64."""

_WHOLE = r"^-?(0|[1-9][0-9]*)(\.0*)?$"
_WHOLE_R = r"^-?[1-9](\.[0-9]+)?e\+[0-9][0-9]$"  # what R makes of 100000
_ROUNDED = r"^-?[0-9]\.[0-9]+E\+[0-9]+$"  # what spreadsheets make of long numbers


def clean_ids(column: pa.ChunkedArray, what: str = "the ids") -> pa.ChunkedArray:
    """Return ids of any type as whole numbers, or as text without surrounding space, in dictionaries; empty ones null.

    Whole numbers written as floats are whole numbers, be it as text ("2.0"), floats or decimals. Only distinct texts
    are looked at, so the cost does not grow with the rows.

    Raises:
        DataError: a number that is not whole, or that a float or a spreadsheet has rounded; bytes that are not UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.int64())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _whole(column, what)
    if _is_bytes(kind):
        try:
            column = column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowException as error:
            raise DataError(f"{what} ids are bytes that are not UTF-8 text; write them as text") from error
    elif pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    kind = column.type
    if not _is_text(kind.value_type if pa.types.is_dictionary(kind) else kind):
        return column
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if not column.num_chunks:
        return column
    written = column.chunk(0).dictionary.cast(pa.string())
    longest = pc.max(pc.binary_length(written)).as_py() or 0
    if longest > LONGEST_ID:
        raise DataError(
            f"{what} ids are up to {longest:,} bytes long; an id has at most {LONGEST_ID:,}: name another column"
        )
    if pc.any(pc.match_substring(written, "\0")).as_py():
        raise DataError(f"{what} ids have zero bytes in them; write them as text")
    values = pc.utf8_trim_whitespace(pc.utf8_trim(pc.utf8_trim_whitespace(written), INVISIBLE))
    values = _whole_texts(pc.if_else(pc.equal(values, ""), None, values), what)
    if values.equals(written):
        return column
    encoded = values.dictionary_encode()  # trimming may have made two ids one
    return pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(encoded.indices.take(chunk.indices), encoded.dictionary)
            for chunk in column.chunks
        ]
    )


def _whole_texts(values: pa.Array, what: str) -> pa.Array:
    """Return distinct texts with "2.0" as "2", if all of them are whole numbers."""
    if not pc.any(
        pc.match_substring_regex(values, r"^-?[0-9]+\.0*$|^-?[0-9](\.[0-9]+)?[eE]\+[0-9]+$")
    ).as_py():
        return values
    rounded = values.filter(pc.fill_null(pc.match_substring_regex(values, _ROUNDED), False))
    if len(rounded):
        raise DataError(
            f"{what} ids such as {rounded[0].as_py()!r} are numbers that a spreadsheet has rounded; export them as text"
        )
    if not pc.all(pc.match_substring_regex(values, f"{_WHOLE}|{_WHOLE_R}")).as_py():
        return values
    whole = [None if text is None else Decimal(text) for text in values.to_pylist()]
    if any(number is not None and number != number.to_integral_value() for number in whole):
        return values
    if any(number is not None and abs(number) >= _EXACT for number in whole):
        raise DataError(
            f"{what} ids are floats beyond 2^53, which have lost digits; write them as whole numbers"
        )
    return pa.array([None if number is None else str(int(number)) for number in whole], pa.string())


def factorize(column: pa.ChunkedArray | pa.Array, what: str) -> tuple[Int32Array, npt.NDArray[Any]]:
    """Return each row's position among the sorted distinct ids, and those ids.

    Ids written as integers become int64 and sort as numbers, but only where every one is written as Python
    would write it: one "007" keeps the whole column text, so that "007" and "7" stay two ids. Text sorts by
    code point.

    Args:
        column: the ids: integers, text, or a dictionary of text; without nulls.
        what: "user" or "item", for the message.

    Returns:
        int32 positions (n_rows,), and the ids, int64 or an object array of str.

    Raises:
        DataError: more than 2^31 - 1 distinct ids, or ids of a type that is neither text nor whole numbers.
    """
    if isinstance(column, pa.Array):
        column = pa.chunked_array([column])
    if not pa.types.is_dictionary(column.type):
        if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            column = _whole(column, what)
        if not (pa.types.is_integer(column.type) or _is_text(column.type)):
            raise DataError(f"{what} ids have type {column.type}; ids must be text or whole numbers")
        if pa.types.is_integer(column.type) and (ranked := _ranked(column.to_numpy())) is not None:
            return ranked
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if column.num_chunks == 0:
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    values = column.chunk(0).dictionary
    if len(values) > MAX_IDS:
        raise DataError(
            f"{len(values)} distinct {what} ids; positions are 32 bits wide, so at most {MAX_IDS}: filter first"
        )
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in column.chunks]).astype(
        np.int32, copy=False
    )
    ids = as_ids(values, what)
    order = (
        np.argsort(ids, kind="stable") if ids.dtype.kind == "i" else np.asarray(pc.array_sort_indices(values))
    )
    ids = ids[order]
    if np.array_equal(order, np.arange(order.size)):
        ranks = codes
    else:
        rank = np.empty(order.size, dtype=np.int32)
        rank[order] = np.arange(order.size, dtype=np.int32)
        ranks = rank[codes]
    return ranks, ids


def _ranked(ids: npt.NDArray[np.integer]) -> tuple[Int32Array, npt.NDArray[np.int64]] | None:
    """Return `factorize`'s answer by a table over the ids' range, or None if that is far too long.

    Most published ids are nearly dense, and then this takes a tenth of the time that hashing does.
    """
    if not ids.size:
        return None
    low, high = int(ids.min()), int(ids.max())
    n_cells = high - low + 1
    if n_cells > max(4 * ids.size, 1 << 20) or high >= 2**63:
        return None
    if n_cells - 1 > np.iinfo(ids.dtype).max:  # the subtraction below would wrap round
        ids = ids.astype(np.int64)
    offsets = ids - ids.dtype.type(low) if low else ids
    present = np.zeros(n_cells, dtype=bool)
    present[offsets] = True
    distinct = np.flatnonzero(present)
    rank = np.zeros(n_cells, dtype=np.int32)
    rank[distinct] = np.arange(distinct.size, dtype=np.int32)
    return rank[offsets], distinct + low


def as_ids(values: pa.Array, what: str) -> npt.NDArray[Any]:
    """Return distinct ids as int64 where that loses nothing, else as an object array of str."""
    if pa.types.is_integer(values.type):
        try:
            return np.asarray(values.cast(pa.int64()))
        except pa.ArrowInvalid:  # unsigned 64-bit values that do not fit: keep them, as text
            values = values.cast(pa.string())
    if (
        pa.types.is_string(values.type)
        or pa.types.is_large_string(values.type)
        or pa.types.is_string_view(values.type)
    ):
        try:
            numbers = values.cast(pa.int64())
            if numbers.cast(values.type).equals(values):
                return np.asarray(numbers)
        except pa.ArrowException:
            pass
        return np.array(values.to_pylist(), dtype=object)
    raise DataError(f"{what} ids have type {values.type}; ids must be text or whole numbers")


def _whole(column: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return floats or decimals that are whole numbers as int64, NaN as null: what pandas makes of integers that once
    had a gap."""
    try:
        if pa.types.is_floating(column.type):
            column = column.cast(pa.float64())
            column = pc.if_else(pc.is_nan(column), None, column)
            largest = pc.max(pc.abs(column)).as_py()
            if largest is not None and _EXACT <= largest < 2**63:
                raise DataError(
                    f"{what} ids are floats beyond 2^53, which have lost digits; write them as whole numbers or text"
                )
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{what} ids are not whole numbers ({str(error)[:80]}); ids must be text or whole numbers"
        ) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )
