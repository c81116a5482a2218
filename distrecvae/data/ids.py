"""Owns ids: what text or number in a column is an id, and how ids become positions.

Kept apart from the table so that splitting needs NumPy alone; this needs Arrow, as the readers do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from distrecvae.data.interactions import Int32Array
from distrecvae.errors import DataError

# Positions are int32 everywhere (half the memory traffic of int64), so this many users or items is the end.
MAX_IDS = 2**31 - 1

# Texts that stand for "nothing there" in an id or a rating.
NOTHING = ("", "NaN", "nan", "NULL", "null", "NA", "N/A", "<NA>", "None", "#N/A")


def clean_ids(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return text ids as dictionaries without surrounding space, those that stand for nothing null; others as
    they are.

    Only distinct ids are looked at, so the cost does not grow with the rows.
    """
    kind = column.type
    if pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    values_type = kind.value_type if pa.types.is_dictionary(kind) else column.type
    if not _is_text(values_type):
        return column
    if not pa.types.is_dictionary(kind):
        column = column.dictionary_encode()
    column = column.unify_dictionaries()
    if not column.num_chunks:
        return column
    written = column.chunk(0).dictionary.cast(pa.string())
    values = pc.utf8_trim_whitespace(written)
    values = pc.if_else(pc.is_in(values, value_set=pa.array(NOTHING)), None, values)
    if values.equals(written):
        return column
    encoded = values.dictionary_encode()  # trimming may have made two ids one
    return pa.chunked_array(
        [
            pa.DictionaryArray.from_arrays(encoded.indices.take(chunk.indices), encoded.dictionary)
            for chunk in column.chunks
        ]
    )


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
        if pa.types.is_floating(column.type):
            column = _whole(column, what)
        if not (pa.types.is_integer(column.type) or _is_text(column.type)):
            raise DataError(f"{what} ids have type {column.type}; they must be text or whole numbers")
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
    raise DataError(f"{what} ids have type {values.type}; they must be text or whole numbers")


def _whole(column: pa.ChunkedArray, what: str) -> pa.ChunkedArray:
    """Return a float column of whole numbers as int64: what pandas makes of integers that once had a gap."""
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{what} ids are not whole numbers ({str(error)[:80]}); they must be text or whole numbers"
        ) from error


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
