"""Owns Parquet sources: one file, a folder of them, or one inside a zip; only the needed columns are read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distrecvae.data.sources.columns import ColumnNames, find_columns
from distrecvae.data.sources.delimited import to_table
from distrecvae.data.sources.opening import Part
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line


def read_parquet(source: Part | Path, wanted: ColumnNames) -> InteractionTable:
    """Read a Parquet file (a Part) or a folder of Parquet files.

    Raises:
        DataError: damaged, a missing column, a rating column that isn't numbers, an empty id, or no rows.
    """
    try:
        where: Any = source if isinstance(source, Path) else _file(source)
        dataset = pq.ParquetDataset(where)
        schema = dataset.schema
        positions = find_columns(schema.names, wanted)
        wanted_roles = [role for role in ("user", "item", "rating") if role in positions]
        table = dataset.read(
            columns=[schema.names[positions[role]] for role in wanted_roles], use_pandas_metadata=False
        )
    except (pa.ArrowException, OSError) as error:
        first = first_line(error)
        raise DataError(f"{source} is not a Parquet file or is damaged ({first})") from error
    columns = {role: schema.names[positions[role]] for role in positions}
    table = table.select([columns[role] for role in wanted_roles]).rename_columns(wanted_roles)
    if "rating" in wanted_roles:
        try:
            rating = table.column("rating").cast(pa.float64())
        except pa.ArrowException as error:
            first = first_line(error)
            raise DataError(
                f"{source}: column {columns['rating']!r} holds no numbers ({first}); correct it"
            ) from error
        table = table.set_column(table.column_names.index("rating"), "rating", rating)
    return to_table(table, {"path": str(source), "format": "parquet", "columns": columns}, str(source),
                    names=columns, first_line=1, place="row")  # fmt: skip


def _file(part: Part) -> Any:
    if part.is_plain:
        return str(part.path)
    with part.open() as file:
        return pa.BufferReader(io.BytesIO(file.read()).getbuffer())
