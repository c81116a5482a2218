"""Reads times of interactions: which values of a column are times, and all of them as float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from distrecvae.errors import DataError

Float64Array = npt.NDArray[np.float64]

NO_VALUE = (
    "",
    "NaN",
    "nan",
    "NAN",
    "NULL",
    "null",
    "NA",
    "N/A",
    "n/a",
    "<NA>",
    "None",
    "none",
    "#N/A",
    "\\N",
)
"""Texts that stand for a number that is not there."""
NO_TIME = (*NO_VALUE, "NaT")
"""Texts that stand for a time that is not there."""

_REMEDY = "times are numbers, or dates as ISO 8601 writes them: 2015-03-31, 2015-03-31T12:00:00Z"


def clean_times(
    column: pa.ChunkedArray, what: str, place: Callable[[int], str] = lambda row: f"row {row + 1}"
) -> Float64Array:
    """Return times as float64, (n_rows,): numbers as they are, dates as seconds since 1970; NaN where there is none.

    A date without a zone is in UTC.

    Args:
        column: numbers, dates, or texts of either.
        what: the source and the column, for messages.
        place: where a row stands.

    Raises:
        DataError: a time that is none of these, or not finite.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
        kind = column.type
    if pa.types.is_timestamp(kind):
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        return _floats(column.cast(pa.int64())) / per_second
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        times = _floats(column.cast(pa.float64()))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        times = _of_texts(column.cast(pa.large_string()), what, place)
    else:
        raise DataError(f"{what} holds {kind}, and no times; {_REMEDY}")
    infinite = np.flatnonzero(np.isinf(times))
    if infinite.size:
        raise DataError(f"{what} has a time that is not finite in {place(int(infinite[0]))}; correct it")
    return times


def _floats(column: pa.ChunkedArray) -> Float64Array:
    """Return numbers as float64, NaN where there is none."""
    return np.asarray(column.to_numpy(), dtype=np.float64)


def _of_texts(column: pa.ChunkedArray, what: str, place: Callable[[int], str]) -> Float64Array:
    import pandas as pd  # half a second, and few sources have dates that are texts

    texts = pc.utf8_trim_whitespace(column)
    texts = pc.if_else(pc.is_in(texts, value_set=pa.array(NO_TIME, pa.large_string())), None, texts)
    try:
        return _floats(texts.cast(pa.float64()))
    except pa.ArrowInvalid:
        pass
    values = texts.to_pandas()
    dates = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
    if dates.notna().sum() < (numbers := pd.to_numeric(values, errors="coerce")).notna().sum():
        dates = numbers  # for the message: what is wrong is the one that is not a number
    wrong = np.flatnonzero((dates.isna() & values.notna()).to_numpy())
    if wrong.size:
        row = int(wrong[0])
        raise DataError(f"{what} has time {values[row]!r:.80} in {place(row)}; {_REMEDY}")
    since = dates.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    times = since.astype(np.int64) / 1e6
    times[np.isnat(since)] = np.nan
    return np.asarray(times, dtype=np.float64)
