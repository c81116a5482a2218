"""Reads scores that another system gave: a row a user and item, from Parquet, CSV, or LensKit's files.

The columns are `user_id`, `item_id` and `score`, or `rank` (1 is best) in the place of `score`. LensKit's
`ItemListCollection.save_parquet` writes such a table (`layout="flat"`) or one row a list, whose column `items` has them
(`layout="native"`); both are read. RecBole writes no user's scores, so there is nothing of its to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from distrecvae.data.ids import clean_ids, factorize
from distrecvae.errors import DataError
from distrecvae.words import counted, first_line

NAMES = ("user_id", "item_id", "score", "rank")
LENSKIT_FILES = ("recommendations.parquet", "recs.parquet")
"""What LensKit's runs call the file of their lists, among others in a folder."""


@dataclass(frozen=True)
class Scores:
    """Scores that a system gave; rows without one, which it does not recommend, are left out.

    Attributes:
        users: int32, (n_rows,), positions in `user_ids`.
        items: int32, (n_rows,), positions in `item_ids`.
        scores: float64, (n_rows,), finite; higher is better.
        user_ids: int64, or text.
        item_ids: likewise.
        n_without: rows that had no score.
    """

    users: npt.NDArray[np.int32]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]
    user_ids: npt.NDArray[Any]
    item_ids: npt.NDArray[Any]
    n_without: int = 0


def read_scores(path: Path) -> Scores:
    """Return the scores in a file, or in a folder of them.

    A score that is missing, NaN or minus infinity says that the item is not recommended.

    Args:
        path: a Parquet or CSV file; or a folder with LensKit's recommendations, or with parts of one table.

    Raises:
        DataError: there is none, it cannot be read, a column is missing, a score is not a number or infinite, or a user
            has an item twice.
    """
    parts = [_table(each) for each in _files(path)]
    try:
        table = pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"{path} has files that are no parts of one table ({first_line(error)}); give one of them"
        ) from None
    table = _by_rows(table, path)
    users, user_ids = _ids(table, "user", path)
    items, item_ids = _ids(table, "item", path)
    scores = _scores(table, path)
    there = ~np.isnan(scores) & (scores != -np.inf)
    if np.isposinf(scores).any():
        raise DataError(f"{path} has scores that are infinite; give finite ones")
    if not there.any():
        raise DataError(f"{path} has no score; a row is a user_id, an item_id and a score")
    users, items, scores = users[there], items[there], scores[there]
    pairs = users.astype(np.int64) * len(item_ids) + items
    distinct, first, times = np.unique(pairs, return_index=True, return_counts=True)
    if distinct.size < pairs.size:
        at = first[times > 1][0]
        raise DataError(
            f"{path} has {counted(pairs.size - distinct.size, 'pair', 'pairs')} of user and item twice, such as user"
            f" {user_ids[users[at]]!s} with item {item_ids[items[at]]!s}; give one score each"
        )
    return Scores(users, items, scores, user_ids, item_ids, int(np.count_nonzero(~there)))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path} does not exist; give a Parquet or CSV file of user_id, item_id, score")
    for name in LENSKIT_FILES:
        if (path / name).is_file():
            return [path / name]
    found = [each for ending in ("*.parquet", "*.pq", "*.csv") for each in sorted(path.glob(ending))]
    if not found:
        told = (
            "RecBole's checkpoints hold no user's scores: write those of full_sort_topk"
            if any(path.glob("*.pth"))
            else "write them"
        )
        raise DataError(
            f"{path} has no Parquet or CSV file of scores; {told} as a table of user_id, item_id, score"
        )
    return found


def _table(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            packed = file.read(4) == b"PAR1"
        if packed:
            schema = pq.read_schema(path)
            wanted = [name for name in (*NAMES, "items") if name in schema.names]
            return pq.ParquetFile(path).read(columns=wanted)
        table = pacsv.read_csv(path)
        return table.select([name for name in NAMES if name in table.column_names])
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read as Parquet or CSV ({first_line(error)}); write it again"
        ) from None


def _by_rows(table: pa.Table, path: Path) -> pa.Table:
    """Return a row a user and item: lists of items, as LensKit has them, are laid out."""
    if "items" in table.column_names and "item_id" not in table.column_names:
        column = table.column("items").combine_chunks()
        if not pa.types.is_list(column.type) or not pa.types.is_struct(column.type.value_type):
            raise DataError(f"{path}: items has type {column.type}; LensKit's lists are lists of structures")
        if "user_id" not in table.column_names:
            raise DataError(f"{path} has no column user_id; a list belongs to a user")
        structures = pc.list_flatten(column)
        columns = {
            "user_id": table.column("user_id").combine_chunks().take(pc.list_parent_indices(column)),
            **{
                field.name: pc.struct_field(structures, field.name)
                for field in column.type.value_type
                if field.name in NAMES
            },
        }
        table = pa.table(columns)
    for name in NAMES[:2]:
        if name not in table.column_names:
            raise DataError(
                f"{path} has no column {name} (it has {', '.join(table.column_names) or 'none of them'}); a row is a"
                " user_id, an item_id and a score"
            )
    if not {"score", "rank"} & set(table.column_names):
        raise DataError(f"{path} has neither a column score nor rank; add one of them")
    return table


def _ids(table: pa.Table, what: str, path: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
    try:
        column = clean_ids(table.column(f"{what}_id"), what)
        if column.null_count:
            n_rows = counted(column.null_count, "row", "rows")
            raise DataError(f"{n_rows} without a {what}_id; leave them out")
        return factorize(column, what)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _scores(table: pa.Table, path: Path) -> npt.NDArray[np.float64]:
    name = "score" if "score" in table.column_names else "rank"
    try:
        values = table.column(name).cast(pa.float64())
    except pa.ArrowException:
        kind = table.column(name).type
        raise DataError(f"{path}: {name} has type {kind} and must be numbers; write it as numbers") from None
    numbers: npt.NDArray[np.float64] = values.to_numpy().astype(np.float64)
    return numbers if name == "score" else -numbers
