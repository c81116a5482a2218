"""Turns columns into an InteractionTable, the same way for every source: ids, ratings, missing values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from distrecvae.data.ids import LOOKS_MISSING, clean_ids, factorize
from distrecvae.data.sources.columns import Columns
from distrecvae.data.sources.times import clean_times
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import counted

Place = Callable[[int], str]
"""Tells where the row of that position, from 0, stands in the source: "line 12"."""

Mask = npt.NDArray[np.bool_]


def row_place(row: int) -> str:
    """Return the place of a row in what has no lines."""
    return f"row {row + 1}"


def to_table(
    table: pa.Table,
    source: Mapping[str, Any],
    what: str,
    *,
    names: Mapping[str, str],
    place: Place = row_place,
    missing: tuple[str, ...] | None = (),
    columns: Columns | None = None,
) -> InteractionTable:
    """Return the InteractionTable of an Arrow table with columns user, item, and perhaps rating and timestamp.

    Args:
        table: ids of any type that can be one; ratings as numbers; times as `clean_times` takes them.
        source: what is written down of it.
        what: the source, in messages.
        names: the columns' names by role.
        place: where a row stands.
        missing: texts that stand for an id that is not there; rows with one are left out and counted. None where nobody
            can tell them.
        columns: of a text with a header: the rows must not be another header.

    Raises:
        DataError: no rows, an empty id, an id that is none, a rating that is not finite, a time that is none, more ids
            than fit.
    """
    if not table.num_rows:
        raise DataError(f"{what} has no rows; it must hold interactions")
    n_rows, kept = table.num_rows, None
    remedy = "remove them" if missing is None else "remove them, or leave them out with --missing ''"
    missing = missing or ()
    ids = {role: clean_ids(table.column(role), f"{what}: {role}") for role in ("user", "item")}
    if missing:
        gone = _any_of(ids["user"], missing) | _any_of(ids["item"], missing)
        if gone.all():
            raise DataError(f"{what} has no row whose ids are both there; look at --missing")
        kept = np.flatnonzero(~gone) if gone.any() else None
    for role, column in ids.items():
        empty = np.flatnonzero(column.is_null().to_numpy())
        if "" in missing:
            empty = empty[:0]
        elif kept is not None:
            empty = np.intersect1d(empty, kept)
        if empty.size:
            raise DataError(
                f"{what} has rows whose {role} id is missing (column {names[role]!r}, empty or NaN in {empty.size} of "
                f"them, first in {place(int(empty[0]))}); {remedy}"
            )
    ratings = None
    if "rating" in table.column_names:
        ratings = table.column("rating").to_numpy().astype(np.float64, copy=False)
        infinite = np.flatnonzero(np.isinf(ratings))
        if infinite.size:
            raise DataError(
                f"{what} has a rating that is not finite in {place(int(infinite[0]))} (column {names['rating']!r});"
                " correct it, or leave ratings out with --rating-column none"
            )
    times = None
    if "timestamp" in table.column_names:
        times = clean_times(table.column("timestamp"), f"{what}: column {names['timestamp']!r}", place)
    del table
    source = dict(source)
    if kept is not None:
        ids = {role: column.take(pa.array(kept)) for role, column in ids.items()}
        ratings = None if ratings is None else ratings[kept]
        times = None if times is None else times[kept]
        source["rows_without_id"] = n_rows - kept.size
    (users, user_ids), (items, item_ids) = (factorize(ids.pop(role), role) for role in ("user", "item"))

    def original_place(row: int) -> str:
        return place(row if kept is None else int(kept[row]))

    read = InteractionTable(users, items, ratings, user_ids, item_ids, source, original_place, times)
    if columns is not None:
        _require_no_other_header(read, what, columns)
    notes = [note for role in ("user", "item") if (note := _looks_missing(read, role)) is not None]
    return replace(read, source=source | ({"notes": notes} if notes else {}))


def _any_of(column: pa.ChunkedArray, texts: tuple[str, ...]) -> Mask:
    """Return which rows have one of the texts as their id, an empty one where that is among them: bool, (n_rows,)."""
    column = column.combine_chunks()
    values = column.dictionary if pa.types.is_dictionary(column.type) else column
    found = pc.fill_null(pc.is_in(values.cast(pa.string()), value_set=pa.array(texts, pa.string())), False)
    if pa.types.is_dictionary(column.type):
        found = pc.fill_null(found.take(column.indices), False)
    mask = np.asarray(found)
    return mask | np.asarray(column.is_null()) if "" in texts else mask


def _position(ids: npt.NDArray[Any], id_: str) -> int | None:
    if ids.dtype.kind == "i":
        return None
    at = np.flatnonzero(ids == id_)
    return int(at[0]) if at.size else None


def _require_no_other_header(table: InteractionTable, what: str, columns: Columns) -> None:
    at = [
        _position(ids, columns.names[role])
        for ids, role in ((table.user_ids, "user"), (table.item_ids, "item"))
    ]
    both = np.flatnonzero((table.users == at[0]) & (table.items == at[1])) if None not in at else np.zeros(0)
    if both.size:
        raise DataError(
            f"{what} has its header a second time, in {table.place(int(both[0]))}; remove it there (or give --no-header"
            " if its first line is a row)"
        )
    for role, position in zip(("user", "item"), at, strict=True):
        if role in columns.told and position is not None:
            raise DataError(
                f"{what}: {columns.names[role]!r} is the name of the {role} column and a {role} id, too; if the first"
                " line is a row, give --no-header and positions (or --header, if it does name columns)"
            )


def _looks_missing(table: InteractionTable, role: str) -> str | None:
    ids, codes = (table.user_ids, table.users) if role == "user" else (table.item_ids, table.items)
    if ids.dtype.kind == "i":
        return None
    found = [(position, id_) for position, id_ in enumerate(ids.tolist()) if id_ in LOOKS_MISSING]
    if not found:
        return None
    n_rows = int(np.isin(codes, [position for position, _ in found]).sum())
    named = ", ".join(repr(id_) for _, id_ in found[:4])
    many = len(found) > 1
    return (
        f"the {role} id{'s' if many else ''} {named} {'are' if many else 'is'} taken as {'such' if many else 'one'}"
        f" ({counted(n_rows, 'row', 'rows')}); --missing {found[0][1]} leaves such rows out"
    )
