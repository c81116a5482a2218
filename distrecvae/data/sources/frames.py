"""Owns tables that lie in memory as pandas DataFrames; their columns are found as a file's are."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

from distrecvae.data.sources.columns import ColumnNames, find_columns
from distrecvae.data.sources.delimited import to_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line


def read_frame(frame: pd.DataFrame, wanted: ColumnNames | None = None) -> InteractionTable:
    """Return the interactions in a DataFrame, a row each; its index is not looked at.

    Args:
        frame: with a user and an item column, perhaps with ratings.
        wanted: columns as told; others are found by their usual names.

    Raises:
        DataError: a column is missing or holds something else, an id is missing, or there are no rows.
    """
    names = [str(name) for name in frame.columns]
    found = find_columns(names, wanted or ColumnNames())
    columns = {role: names[position] for role, position in found.items()}
    return frame_table(frame, found, "the DataFrame", {"format": "pandas", "columns": columns})


def frame_table(
    frame: pd.DataFrame, found: Mapping[str, int], what: str, source: Mapping[str, object] | None = None
) -> InteractionTable:
    """Return the interactions in a DataFrame whose columns are known.

    Args:
        frame: the rows.
        found: the position of each role's column, as `find_columns` says.
        what: the frame, in messages.
        source: what is written down of it.

    Raises:
        DataError: as `read_frame`.
    """
    names = {role: str(frame.columns[position]) for role, position in found.items()}
    try:
        columns = {role: pa.Array.from_pandas(frame.iloc[:, found[role]]) for role in ("user", "item")}
        if "rating" in found:
            columns["rating"] = pa.Array.from_pandas(frame.iloc[:, found["rating"]]).cast(pa.float64())
        table = pa.table(columns)
    except pa.ArrowException as error:
        raise DataError(f"{what} cannot be read ({first_line(error)})") from None
    return to_table(table, source or {}, what, names=names, first_line=0, place="row")
