"""Tables that lie in memory as pandas DataFrames; their columns are found as a file's are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from distrecvae.data.sources.columns import Columns, Told, find_columns
from distrecvae.data.sources.rows import to_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line


def read_frame(frame: pd.DataFrame, told: Told | None = None) -> InteractionTable:
    """Return the interactions in a DataFrame, a row each; its index is not looked at.

    Args:
        frame: with a user and an item column, perhaps with ratings.
        told: columns and what is missing; other columns are found by their usual names.

    Raises:
        DataError: a column is missing or holds something else, an id is missing, or there are no rows.
    """
    names = [str(name) for name in frame.columns]
    told = told or Told()
    found = find_columns(names, told.columns)
    source = {"format": "pandas", **found.facts()}
    return frame_table(frame, found, "the DataFrame", source, missing=told.missing, roles=told.roles)


def frame_table(
    frame: pd.DataFrame,
    found: Columns,
    what: str,
    source: Mapping[str, object] | None = None,
    *,
    missing: tuple[str, ...] | None = None,
    roles: Sequence[str] = Told().roles,
) -> InteractionTable:
    """Return the interactions in a DataFrame whose columns are known.

    Args:
        frame: the rows.
        found: which column is what.
        what: the frame, in messages.
        source: what is written down of it.
        missing: texts that stand for an id that is not there; None where nobody can tell them.
        roles: the columns that are read, where they are there.

    Raises:
        DataError: as `read_frame`.
    """
    columns = {
        role: _column(frame.iloc[:, found.positions[role]], role, found, what)
        for role in roles
        if role in found.positions
    }
    return to_table(pa.table(columns), source or {}, what, names=found.names, place=_place, missing=missing)


def _place(row: int) -> str:
    return f"row {row + 1} (.iloc[{row}])"


def _column(series: pd.Series[Any], role: str, found: Columns, what: str) -> pa.Array:
    try:
        column = pa.Array.from_pandas(series)
        return column.cast(pa.float64()) if role == "rating" else column
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        name = found.names[role]
        if role == "rating":
            raise DataError(
                f"{what} has ratings that are not numbers (column {name!r}: {first_line(error)}); correct them, or"
                " leave ratings out with --rating-column none"
            ) from None
        if role == "timestamp":
            raise DataError(
                f"{what} has times of several kinds (column {name!r}: {first_line(error)}); make them one,"
                f" pandas.to_datetime(frame[{name!r}])"
            ) from None
        raise DataError(
            f"{what} has {role} ids that are not all whole numbers or all text (column {name!r}: {first_line(error)});"
            f" make them text, frame[{name!r}].astype(str)"
        ) from None
