"""Owns text tables: CSV, TSV, RecBole's .inter, MovieLens' .dat, Million Song triplets, read by Arrow on all
cores.

Ids are read as dictionaries (one copy of each distinct id, 32 bits a row), so a file of 20 million rows costs
a few hundred megabytes, and ids keep their text until `factorize` decides that they are numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from distrecvae.data.ids import NOTHING, clean_ids, factorize
from distrecvae.data.sources.columns import ColumnNames, find_columns
from distrecvae.data.sources.opening import Part, Replacing
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError

ID = pa.dictionary(pa.int32(), pa.string())

_BLOCK_BYTES = 8 << 20  # big enough that few dictionaries have to be merged, small enough for a few in flight
_DELIMITERS = (",", "\t", ";", "|")


def read_delimited(part: Part, wanted: ColumnNames, *, typed_header: bool = False) -> InteractionTable:
    """Read a text table whose first line names its columns; the delimiter is the one that line uses most.

    Args:
        part: the file.
        wanted: columns as told.
        typed_header: names carry a type after a colon (`user_id:token`, RecBole).

    Raises:
        DataError: empty, only a header, a missing column, a row of another width, an empty id, a rating that
            is no number, or damaged.
    """
    first_line, rest = _first_line(part)
    delimiter = max(_DELIMITERS, key=first_line.count)
    names = next(csv.reader([first_line], delimiter=delimiter))
    names = [name.strip().rsplit(":", 1)[0] if typed_header else name.strip() for name in names]
    positions = find_columns(names, wanted)
    if not rest.strip():
        raise DataError(f"{part} has a header and no rows; it must hold interactions")
    table = _parse(part, delimiter, len(names), positions, names, skip_lines=1)
    columns = {role: names[position] for role, position in positions.items()}
    source = {"path": str(part), "format": "recbole" if typed_header else "csv", "columns": columns}
    return to_table(table, source, part, names=columns, first_line=2)


def read_headerless(part: Part, roles: Sequence[str], source_format: str, delimiter: str) -> InteractionTable:
    """Read a text table without a header whose columns are `roles` in order (user, item, rating, timestamp).

    Raises:
        DataError: as `read_delimited`.
    """
    positions = {role: position for position, role in enumerate(roles)}
    table = _parse(part, delimiter, len(roles), positions, roles, skip_lines=0)
    source = {"path": str(part), "format": source_format}
    return to_table(table, source, part, names={role: role for role in roles}, first_line=1)


def to_table(
    table: pa.Table,
    source: Mapping[str, Any],
    part: Part | str,
    *,
    names: Mapping[str, str],
    first_line: int,
    place: str = "line",
) -> InteractionTable:
    """Return the InteractionTable of an Arrow table with columns user, item and perhaps rating.

    Raises:
        DataError: no rows, an empty or NaN id, more ids than fit.
    """
    if not table.num_rows:
        raise DataError(f"{part} has no rows; it must hold interactions")
    factors = {}
    for role in ("user", "item"):
        column = clean_ids(table.column(role))
        empty = _empty_ids(column)
        if empty.size:
            raise DataError(
                f"{part} has rows whose {role} id is missing (column {names[role]!r}, empty or NaN in {empty.size} of "
                f"them, first in {place} {empty[0] + first_line}); remove them"
            )
        factors[role] = factorize(column, role)
        table = table.drop_columns([role])
    ratings = None
    if "rating" in table.column_names:
        ratings = table.column("rating").to_numpy().astype(np.float64, copy=False)
    (users, user_ids), (items, item_ids) = factors["user"], factors["item"]
    return InteractionTable(users, items, ratings, user_ids, item_ids, source)


def _empty_ids(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.intp]]:
    nothing = column.is_null(nan_is_null=True)
    return np.flatnonzero(nothing.to_numpy())


def _first_line(part: Part) -> tuple[str, bytes]:
    head = part.head()
    if not head.strip():
        raise DataError(f"{part} is empty; it must hold a header line and interactions")
    if b"\0" in head:
        raise DataError(f"{part} is not text (it has zero bytes); give a CSV, TSV or Parquet file")
    line, _, rest = head.partition(b"\n")
    try:
        return line.decode("utf-8-sig").rstrip("\r"), rest
    except UnicodeDecodeError as error:
        raise DataError(
            f"{part} is not UTF-8 text ({error.reason} at byte {error.start}); convert it first"
        ) from error


def _parse(
    part: Part,
    delimiter: str,
    n_columns: int,
    positions: Mapping[str, int],
    names: Sequence[str],
    *,
    skip_lines: int,
) -> pa.Table:
    """Return the wanted columns; on a failure read again on one core, which names the line."""
    try:
        return _read(part, delimiter, n_columns, positions, skip_lines, careful=False)
    except pa.ArrowInvalid:
        pass
    try:
        return _read(part, delimiter, n_columns, positions, skip_lines, careful=True)
    except pa.ArrowInvalid as error:
        raise DataError(_explained(str(error), part, positions, names)) from error


def _read(
    part: Part,
    delimiter: str,
    n_columns: int,
    positions: Mapping[str, int],
    skip_lines: int,
    *,
    careful: bool,
) -> pa.Table:
    wanted = [role for role in ("user", "item", "rating") if role in positions]
    columns = [f"column {i}" for i in range(n_columns)]
    for role in wanted:
        columns[positions[role]] = role
    types = {"user": ID, "item": ID, "rating": pa.float64()}
    with part.open() as file:
        stream = pa.OSFile(str(part.path)) if part.is_plain else pa.PythonFile(file, mode="r")
        if delimiter == "::":
            stream = pa.PythonFile(io.BufferedReader(Replacing(file, b"::", b"\t")), mode="r")
        return pacsv.read_csv(
            stream,
            read_options=pacsv.ReadOptions(
                column_names=columns, skip_rows=skip_lines, use_threads=not careful, block_size=_BLOCK_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter="\t" if delimiter == "::" else delimiter, newlines_in_values=careful
            ),
            convert_options=pacsv.ConvertOptions(
                include_columns=wanted,
                column_types={role: types[role] for role in wanted},
                null_values=list(NOTHING),
                strings_can_be_null=True,
            ),
        )


def _explained(message: str, part: Part, positions: Mapping[str, int], names: Sequence[str]) -> str:
    """Return Arrow's message as one of ours: where, what, and what to do."""
    line = f" in line {match[1]}" if (match := re.search(r"Row #(\d+)", message)) else ""
    if match := re.search(r"Expected (\d+) columns, got (\d+)", message):
        return f"{part} has {match[2]} fields{line} and {match[1]} in its first; every line must have as many"
    if match := re.search(r"conversion error to double: invalid value '(.*)'", message, re.DOTALL):
        column = names[positions["rating"]]
        return (
            f"{part} has rating {match[1]!r}{line} (column {column!r}); ratings must be numbers: correct it"
        )
    if "UTF8" in message:
        return f"{part} is not UTF-8 text{line}; convert it first"
    return f"{part} cannot be read{line} ({message.splitlines()[0][:160]})"
