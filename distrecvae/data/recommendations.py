"""Recommendations as a table: a row a user and rank, in memory and in Parquet or CSV files.

The columns are `user_id`, `rank` (from 1), `item_id` and `score` (float32; higher is better).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from distrecvae.errors import ConfigError, ResultsError
from distrecvae.files import replacing

ROW_GROUP_ROWS = 1 << 18
"""Rows held before they are written: 6 MB of numbers, or as much as their ids take (not more: see `Ids.table`)."""

ENDINGS = (".parquet", ".pq", ".csv")

FEW_ROWS = 1 << 16
"""Rows that one thread turns into a DataFrame."""

Frame = pd.DataFrame
ArrowIds: TypeAlias = pa.Array


class Ids:
    """The ids that positions stand for, in Arrow's form, made once.

    Args:
        user_ids: int64 or text.
        item_ids: likewise, or what `in_arrow` made of them.
        guarded: a text that a spreadsheet would take for a formula gets an apostrophe before it.
        with_source: a last column, `source`, says where a row comes from.
    """

    def __init__(
        self,
        user_ids: npt.NDArray[Any],
        item_ids: npt.NDArray[Any] | ArrowIds,
        *,
        guarded: bool = False,
        with_source: bool = False,
    ) -> None:
        self._users = in_arrow(user_ids, guarded=guarded)
        self._items: pa.Array = (
            in_arrow(item_ids, guarded=guarded) if isinstance(item_ids, np.ndarray) else item_ids
        )
        self.schema = pa.schema(
            {
                "user_id": self._users.type,
                "rank": pa.int32(),
                "item_id": self._items.type,
                "score": pa.float32(),
            }
            | ({"source": pa.string()} if with_source else {})
        )

    def table(
        self,
        first_user: int,
        items: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        source: str = "",
    ) -> pa.Table:
        """Return the rows of some consecutive users.

        Args:
            first_user: position of the first one.
            items: (n_rows, k), item positions, best first.
            scores: (n_rows, k); what scores minus infinity is no recommendation.
            source: where they come from, for the column of that name.
        """
        # All columns are Arrow's copies. What is kept while the next batch is scored lies in the holes that scores
        # leave in the C library's heap, which then grows: by 12 MB a batch of 200 users x 41,140 items if NumPy's are.
        n_rows, k = scores.shape
        there = pa.array(np.isfinite(scores).ravel())
        users = pa.array(np.repeat(np.arange(first_user, first_user + n_rows), k)).filter(there)
        columns = [
            self._users.take(users),
            pa.array(np.tile(np.arange(1, k + 1, dtype=np.int32), n_rows)).filter(there),
            self._items.take(pa.array(items.ravel()).filter(there)),
            pa.array(scores.ravel()).filter(there),
        ]
        if "source" in self.schema.names:
            columns.append(pa.array([source]).take(pa.array(np.zeros(len(users), dtype=np.int64))))
        return pa.Table.from_arrays(columns, schema=self.schema)


def as_frame(tables: list[pa.Table], ids: Ids) -> Frame:
    """Return tables of `Ids` as one DataFrame."""
    whole = pa.concat_tables([ids.schema.empty_table(), *tables])
    # Waking other threads takes longer than a request's rows do, where all cores have work.
    frame: Frame = whole.to_pandas(use_threads=whole.num_rows > FEW_ROWS)
    return frame


def likeness_frame(item_ids: npt.NDArray[Any], scores: npt.NDArray[np.float32]) -> Frame:
    """Return items in their order as a DataFrame of `rank` (from 1), `item_id`, `score`."""
    ranks = np.arange(1, len(item_ids) + 1, dtype=np.int32)
    return pd.DataFrame({"rank": ranks, "item_id": item_ids, "score": scores})


class Sink(Protocol):
    """Where tables go, one after the other."""

    def write(self, table: pa.Table) -> None:
        """Take the next rows."""


def require_ending(path: Path) -> None:
    """Refuse a name that tells no format.

    Raises:
        ConfigError: it ends in none of `ENDINGS`.
        ResultsError: it is a folder.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{path} tells no format by its name; end it in .parquet or .csv")
    if path.is_dir():
        raise ResultsError(f"{path} is a folder; give the name of a file to write")


@contextmanager
def writing(path: Path, ids: Ids) -> Iterator[Sink]:
    """Yield what takes tables of `Ids`; the file appears, or an older one is replaced, when all is written.

    No more than a row group is held.

    Raises:
        ConfigError: the name tells no format.
        ResultsError: it is a folder.
    """
    require_ending(path)
    with replacing(path) as temporary:
        if path.suffix.lower() == ".csv":
            options = pacsv.WriteOptions(quoting_style="needed")
            with pacsv.CSVWriter(temporary, ids.schema, write_options=options) as csv:
                yield _Csv(csv)
        else:
            with pq.ParquetWriter(temporary, ids.schema, compression="zstd", compression_level=1) as parquet:
                groups = _RowGroups(parquet)
                yield groups
                groups.flush()


class _Csv:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)


class _RowGroups:
    """Collects tables until they make a row group: many small ones would be slow to read."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._waiting: list[pa.Table] = []
        self._n_rows = 0

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._n_rows += table.num_rows
        if self._n_rows >= ROW_GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._n_rows:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=self._n_rows)
        self._waiting, self._n_rows = [], 0


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that a spreadsheet runs: `=cmd|...`."""


def in_arrow(ids: npt.NDArray[Any], *, guarded: bool = False) -> ArrowIds:
    """Return ids, int64 or text, as an Arrow array; `guarded` as in `Ids`."""
    if ids.dtype.kind in "iu":
        return pa.array(ids, type=pa.int64())
    texts = [str(id_) for id_ in ids]
    if guarded:
        texts = [f"'{text}" if text.startswith(_FORMULA) else text for text in texts]
    return pa.array(texts, type=pa.string())
