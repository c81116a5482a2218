"""Parquet sources: one file, a folder of them, or one inside a zip; only the needed columns are read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distrecvae.data.sources.columns import Columns, Told, find_columns
from distrecvae.data.sources.opening import Part
from distrecvae.data.sources.rows import to_table
from distrecvae.data.sources.sizes import require_room
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line


def read_parquet(source: Part | Path, told: Told) -> InteractionTable:
    """Read a Parquet file (a Part) or a folder of Parquet files.

    How many rows there are is read first, and refused where they do not fit the memory. The parts of a folder may
    have their columns in different types, such as int32 and int64, and be empty.

    Raises:
        DataError: damaged, a missing column, a rating column that isn't numbers, an empty id, no rows or too many.
    """
    try:
        where: Any = source if isinstance(source, Path) else _file(source)
        dataset = pq.ParquetDataset(where)
        schema = dataset.schema
        require_room(sum(fragment.metadata.num_rows for fragment in dataset.fragments), source, told.max_rows)
        columns = find_columns(schema.names, told.columns)
        names = columns.names
        wanted_roles = [role for role in told.roles if role in names]
        table = _read(dataset, [names[role] for role in wanted_roles])
    except (pa.ArrowException, OSError) as error:
        first = first_line(error)
        raise DataError(f"{source} is not a Parquet file or is damaged ({first})") from error
    table = table.select([names[role] for role in wanted_roles]).rename_columns(wanted_roles)
    if "rating" in wanted_roles:
        table = table.set_column(
            table.column_names.index("rating"), "rating", _numbers(table.column("rating"), columns, source)
        )
    about = {"path": str(source), "format": "parquet", **columns.facts()}
    return to_table(table, about, str(source), names=names, missing=told.missing)


def _read(dataset: Any, names: Sequence[str]) -> pa.Table:
    """Return the columns; where the parts differ in type, each is read by itself and their types are made one."""
    try:
        return dataset.read(columns=list(names), use_pandas_metadata=False)
    except pa.ArrowException:
        if len(dataset.fragments) < 2:
            raise
    tables = [fragment.to_table(columns=list(names)) for fragment in dataset.fragments]
    return pa.concat_tables([table for table in tables if table.num_rows], promote_options="permissive")


def _numbers(column: pa.ChunkedArray, columns: Columns, source: Part | Path) -> pa.ChunkedArray:
    try:
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.cast(pa.float64())
    except pa.ArrowException as error:
        raise DataError(
            f"{source}: column {columns.names['rating']!r} holds no numbers ({first_line(error)}); correct it, or"
            " leave ratings out with --rating-column none"
        ) from error


def _file(part: Part) -> Any:
    if part.is_plain:
        return str(part.path)
    with part.open() as file:
        return pa.BufferReader(io.BytesIO(file.read()).getbuffer())
