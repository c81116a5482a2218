"""Histories: what users did, by ids, turned into rows over the items of a model.

The users need not be known to anyone; items that the model does not have are counted and left out. Files are read by
the readers of `distrecvae.data.sources`, so that everything said there about columns and formats holds here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from distrecvae.data.days.matching import KnownIds, positions_among
from distrecvae.data.ids import clean_ids, factorize
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.data.sources.columns import ColumnNames, find_columns
from distrecvae.data.sources.frames import frame_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import ConfigError, DataError

HistoriesLike = Mapping[Any, Iterable[Any]] | Sequence[Iterable[Any]] | pd.DataFrame
"""User -> item ids; or a list of them, users being called 0, 1, ...; or a table with a user and an item column."""

_GIVEN = "the histories"


@dataclass(frozen=True)
class Histories:
    """Users with at least one item that the model knows, in the order of their table.

    Attributes:
        user_ids: (n_users,).
        shown: what the model goes by, over its items.
        seen: what is not to be recommended: `shown`, and the items whose rating is not above the threshold.
        n_unknown_items: distinct ids that the model does not have.
        n_unknown_rows: rows with them.
        an_unknown_item: the first of them, for a message; None where there are none.
        unknown_to_model: ids of users without an item that the model knows; they are left out.
        below_threshold: ids of users who have some, but none rated above the threshold; they are left out.
        left_out_seen: of the users left out, those unknown to the model first, what is not to be recommended.
        min_rating: the threshold; None where every row counts.
    """

    user_ids: npt.NDArray[Any]
    shown: InteractionMatrix
    seen: InteractionMatrix
    n_unknown_items: int
    n_unknown_rows: int
    an_unknown_item: Any
    unknown_to_model: npt.NDArray[Any]
    below_threshold: npt.NDArray[Any]
    left_out_seen: InteractionMatrix
    min_rating: float | None = None

    @property
    def n_left_out(self) -> int:
        """Users without a known item that counts."""
        return len(self.unknown_to_model) + len(self.below_threshold)

    @property
    def left_out(self) -> npt.NDArray[Any]:
        """Ids of users without a known item that counts: (n_left_out,)."""
        return np.concatenate([self.unknown_to_model, self.below_threshold])

    @property
    def n_users(self) -> int:
        """Users that can be recommended to."""
        return self.shown.n_users

    def notes(self, *, include_seen: bool = False, fallback: str | None = None) -> list[str]:
        """Return who gets nothing, and what was left out, a line each.

        Args:
            include_seen: what a user has is recommended, too, so that something is left for everyone.
            fallback: what users who are left out are given instead; None for nothing.
        """
        without = "left out" if fallback is None else f"given {fallback}"
        lines = []
        if self.n_unknown_items:
            lines.append(
                f"{_counted(self.n_unknown_items, 'item')} unknown to the model (such as {self.an_unknown_item!r}):"
                f" {_counted(self.n_unknown_rows, 'row')} ignored"
            )
        everything = (
            self.user_ids[:0] if include_seen else self.user_ids[self.seen.counts() == self.seen.n_items]
        )
        for ids, why in (
            (self.unknown_to_model, f"{without}: no item that the model knows"),
            (self.below_threshold, f"{without}: no known item is rated above {self.min_rating or 0:g}"),
            (everything, "without recommendations: they have every item that the model knows"),
        ):
            if len(ids):
                lines.append(f"{_counted(len(ids), 'user')} {why} ({_some(ids)})")
        return lines


def over_items(
    table: InteractionTable, item_ids: npt.NDArray[Any] | KnownIds, *, min_rating: float | None = None
) -> Histories:
    """Return the histories in `table` over the items `item_ids`; a repeated row counts once.

    Args:
        table: the rows; a rating that is NaN is above nothing.
        item_ids: the model's, int64 or an object array of str. Ids of different types are the same where they are
            written the same.
        min_rating: rows with a rating above it are what the model goes by, the others are seen all the same; None takes
            every row.

    Raises:
        ConfigError: a threshold is given, and the table has no ratings.
    """
    at = positions_among(table.item_ids, item_ids)
    items = at[table.items]
    known = items >= 0
    n_users = len(table.user_ids)

    def rows(which: npt.NDArray[np.bool_]) -> InteractionMatrix:
        return InteractionMatrix.from_pairs(
            table.users[which], items[which], n_users=n_users, n_items=len(item_ids)
        )

    shown = seen = rows(known)
    if min_rating is not None:
        if table.ratings is None:
            raise ConfigError(
                f"min_rating is {min_rating:g} and the histories have no ratings; leave it out, or name the column"
            )
        shown = rows(known & (table.ratings > min_rating))
    all_seen = seen
    user_ids, kept = table.user_ids, np.flatnonzero(shown.counts())
    knows_none, counts_none = seen.counts() == 0, (seen.counts() > 0) & (shown.counts() == 0)
    if kept.size < n_users:
        user_ids = user_ids[kept]
        shown, seen = shown.take(kept), (shown if seen is shown else seen).take(kept)
    unknown = np.flatnonzero(at < 0)
    return Histories(
        user_ids,
        shown,
        seen,
        n_unknown_items=unknown.size,
        n_unknown_rows=int(known.size - known.sum()),
        an_unknown_item=table.item_ids[unknown[:1]].tolist()[0] if unknown.size else None,
        unknown_to_model=table.user_ids[knows_none],
        below_threshold=table.user_ids[counts_none],
        left_out_seen=all_seen.take(
            np.concatenate([np.flatnonzero(knows_none), np.flatnonzero(counts_none)])
        ),
        min_rating=min_rating,
    )


def as_table(histories: HistoriesLike) -> InteractionTable:
    """Return histories given in Python as a table; see `HistoriesLike`.

    A mapping's and a list's users keep their order; a DataFrame's columns are found by their usual names, as those of
    a file are, and its users come in the order of their ids.

    Raises:
        DataError: it is something else, a history is a lone text or number, an id is missing or of another type.
    """
    if isinstance(histories, pd.DataFrame):
        return _of_frame(histories)
    if isinstance(histories, Mapping):
        users, lists = list(histories.keys()), list(histories.values())
    elif isinstance(histories, list | tuple):
        users, lists = list(range(len(histories))), list(histories)
    else:
        raise DataError(
            f"the histories are a {type(histories).__name__}; give a dict of lists of item ids, a list of such lists,"
            " or a DataFrame with user_id and item_id"
        )
    for user, items in zip(users, lists, strict=True):
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise DataError(f"the history of user {user!r} is {items!r}; it must be a list of item ids")
    for user in users:
        if _is_missing(user):
            raise DataError(f"a user id is missing ({user!r}); name the user, or leave the history out")
    items_of = [list(items) for items in lists]
    for user, items in zip(users, items_of, strict=True):
        for item in items:
            _require_id(item, user)
    codes, item_ids = factorize(_column([item for items in items_of for item in items]), "item")
    counts = [len(items) for items in items_of]
    rows = np.repeat(np.arange(len(users), dtype=np.int32), counts)
    return InteractionTable(rows, codes, None, _array(users), item_ids)


def _of_frame(frame: pd.DataFrame) -> InteractionTable:
    names = [str(name) for name in frame.columns]
    try:
        found = find_columns(names, ColumnNames())
    except DataError:
        raise DataError(
            f"the histories have the columns {', '.join(names) or 'none'}; rename two of them to user_id and item_id"
        ) from None
    if frame.empty:
        empty = np.zeros(0, dtype=np.int32)
        return InteractionTable(empty, empty, None, empty.astype(np.int64), empty.astype(np.int64))
    return frame_table(frame, found, _GIVEN)


def _column(values: list[Any]) -> pa.ChunkedArray:
    """Return item ids as an Arrow column: as they are where they are of one type, else as text."""
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError):
        column = pa.array([str(value) for value in values])
    if not len(column):
        column = column.cast(pa.int64())
    cleaned = clean_ids(pa.chunked_array([column]))
    if cleaned.null_count:
        raise DataError("a history has an item id that is empty; remove it")
    return cleaned


def _is_missing(value: Any) -> bool:
    return (
        value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value))
    )


def _require_id(item: Any, user: Any) -> None:
    if _is_missing(item):
        raise DataError(f"the history of user {user!r} has an item id that is missing ({item!r}); remove it")
    whole = isinstance(item, int | np.integer) or (
        isinstance(item, float | np.floating) and float(item).is_integer()
    )
    if isinstance(item, bool | np.bool_) or not (isinstance(item, str) or whole):
        raise DataError(
            f"the history of user {user!r} has {item!r:.80} for an item id; ids are text or whole numbers"
        )


def _array(values: list[Any]) -> npt.NDArray[Any]:
    """Return ids as int64 where all are whole numbers, else as an object array."""
    if all(isinstance(value, int | np.integer) and not isinstance(value, bool) for value in values):
        with suppress(OverflowError):
            return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _some(ids: npt.NDArray[Any], most: int = 3) -> str:
    shown = ", ".join(map(repr, ids[:most].tolist()))
    return f"{shown}, ..." if len(ids) > most else shown


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
