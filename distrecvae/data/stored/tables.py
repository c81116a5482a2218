"""Tables of a dataset folder: ids by position, and interactions by user and item; as Parquet, each checked as it is
read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError
from distrecvae.files import replacing
from distrecvae.regular import require_regular
from distrecvae.words import first_line

COUNTS = "interactions"

IdKind = Literal["user_id", "item_id"]


def save_ids(
    path: Path | str,
    ids: npt.NDArray[Any],
    *,
    kind: IdKind = "item_id",
    counts: npt.NDArray[np.int64] | None = None,
) -> None:
    """Write ids in their order as Parquet, atomically; integers stay integers.

    The columns are `kind` and, where they are given, `interactions`: `counts`, (n_ids,).
    """
    columns = {kind: id_array(ids)} | ({} if counts is None else {COUNTS: pa.array(counts, type=pa.int64())})
    with replacing(Path(path)) as temporary:
        write_table(pa.table(columns), temporary)


def load_ids(
    path: Path | str,
    *,
    kind: IdKind = "item_id",
    n_ids: int | None = None,
    groups: Sequence[int] | None = None,
) -> npt.NDArray[Any]:
    """Return the ids that `save_ids` wrote: int64, or an object array of str.

    Args:
        path: the file.
        kind: its column.
        n_ids: how many there must be; that is looked at before they are read.
        groups: how many are in each group of users, where one may be in several; None where none is there twice.

    Raises:
        DataError: the file is missing, damaged, has no column `kind` or another number of ids, or they are neither
            whole numbers nor text, or one is there twice.
    """
    column = _read_columns(Path(path), [kind], n_ids)[0]
    if column.null_count:
        raise DataError(f"{path} has {column.null_count} empty ids; run `distrecvae prepare` again")
    whole = pa.types.is_integer(column.type)
    if not (whole or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(
            f"{path} has ids of type {column.type}, not whole numbers or text; run `distrecvae prepare` again"
        )
    bounds = np.cumsum([0, *(groups or [len(column)])]).tolist()
    repeated = sum(
        (stop - start) - len(column.slice(start, stop - start).unique()) for start, stop in pairwise(bounds)
    )
    if repeated:
        raise DataError(f"{path} has {repeated} ids that are there twice; run `distrecvae prepare` again")
    if whole:
        return np.asarray(column.to_numpy(), dtype=np.int64)
    return np.array(column.to_pylist(), dtype=object)


def n_rows_of(path: Path | str) -> int:
    """Return how many rows a Parquet file declares, without reading them.

    Raises:
        DataError: it is missing or damaged.
    """
    path = Path(path)
    try:
        require_regular(path)
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing; run `distrecvae prepare` again") from error
    except (pa.ArrowException, OSError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"{path} is damaged ({reason}); run `distrecvae prepare` again") from error


def id_array(ids: npt.NDArray[Any]) -> pa.Array:
    """Return ids as an Arrow array: integers stay integers."""
    return (
        pa.array(ids, type=pa.int64()) if ids.dtype.kind in "iu" else pa.array(ids.tolist(), type=pa.string())
    )


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet."""
    # lz4 costs next to nothing to read back and the dictionary encoding has already done the work.
    pq.write_table(table, path, compression="lz4")


def write_matrix(matrix: InteractionMatrix, path: Path) -> None:
    """Write a matrix as int32 columns `user` and `item`, by user, then item."""
    users = np.repeat(np.arange(matrix.n_users, dtype=np.int32), matrix.counts())
    write_table(pa.table({"user": users, "item": matrix.indices}), path)


def read_matrix(path: Path, n_users: int, n_items: int, n_rows: int) -> InteractionMatrix:
    """Return the matrix that `write_matrix` wrote.

    Args:
        path: the file.
        n_users: rows of the matrix.
        n_items: its columns.
        n_rows: interactions that must be there.

    Raises:
        DataError: the file is missing or damaged, or not such a matrix.
    """
    user_column, item_column = _read_columns(path, ["user", "item"], n_rows)
    if user_column.type != pa.int32() or item_column.type != pa.int32():
        raise DataError(
            f"{path} has columns of {user_column.type} and {item_column.type}; both must be int32: prepare again"
        )
    if user_column.null_count or item_column.null_count:
        raise DataError(f"{path} has empty cells; run `distrecvae prepare` again")
    users, items = np.asarray(user_column.to_numpy()), np.asarray(item_column.to_numpy())
    if users.size and (users[0] < 0 or users[-1] >= n_users or np.any(users[1:] < users[:-1])):
        raise DataError(
            f"{path} has users out of order or outside 0..{n_users - 1}; run `distrecvae prepare` again"
        )
    indptr = np.zeros(n_users + 1, dtype=np.int64)
    np.cumsum(np.bincount(users, minlength=n_users), out=indptr[1:])
    return InteractionMatrix.checked(indptr, items, n_items)


def _read_columns(path: Path, names: list[str], n_rows: int | None) -> list[pa.ChunkedArray]:
    found = n_rows_of(path)
    if n_rows is not None and found != n_rows:
        raise DataError(
            f"{path} has {found:,} rows, and {n_rows:,} are said to be there; run `distrecvae prepare` again"
        )
    try:
        table = pq.read_table(path, columns=names)
        return [table.column(name) for name in names]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"{path} is damaged ({first_line(error)}); run `distrecvae prepare` again") from error
