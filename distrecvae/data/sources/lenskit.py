"""Reads what LensKit writes: data sets, folders of numbered tables, and lists of items by user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from distrecvae.data.sources.rows import to_table
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from distrecvae.words import first_line

_SCHEMA = "schema.json"


def is_lenskit_dataset(folder: Path) -> bool:
    """Return whether a folder is a data set of LensKit's."""
    return (
        (folder / _SCHEMA).is_file()
        and (folder / "user.parquet").is_file()
        and (folder / "item.parquet").is_file()
    )


def is_lists(path: Path) -> bool:
    """Return whether a file has a list of items a user, as LensKit saves test data."""
    try:
        if path.suffix not in (".parquet", ".pq"):
            return False
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return False
    return "items" in schema.names and pa.types.is_nested(schema.field("items").type)


def read_lenskit(folder: Path) -> InteractionTable:
    """Read a data set of LensKit's: its default interactions.

    Raises:
        DataError: it is damaged, or has no interactions of users with items.
    """
    try:
        schema = json.loads((folder / _SCHEMA).read_text(encoding="utf-8"))
        relations = dict(schema.get("relationships") or {})
        name = schema.get("default_interaction") or next(
            (name for name, relation in relations.items() if relation.get("interaction", True)), None
        )
        if name is None:
            raise DataError(f"{folder} has no interactions (LensKit's {_SCHEMA} names none)")
        rows = pq.read_table(folder / f"{name}.parquet")
        ids = {
            kind: pq.read_table(folder / f"{kind}.parquet").column(f"{kind}_id").combine_chunks()
            for kind in ("user", "item")
        }
        columns = {kind: pc.take(ids[kind], rows.column(f"{kind}_num")) for kind in ids}
        if "rating" in rows.column_names:
            columns["rating"] = rows.column("rating").cast(pa.float64())
    except (pa.ArrowException, OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"{folder} is not a data set of LensKit's, or damaged ({first_line(error)})"
        ) from error
    names = {"user": "user_id", "item": "item_id"} | ({"rating": "rating"} if "rating" in columns else {})
    source = {"path": str(folder), "format": "lenskit", "columns": names}
    return to_table(pa.table(columns), source, str(folder), names=names)


def read_lists(path: Path) -> InteractionTable:
    """Read a file with a user and a list of items a row.

    Raises:
        DataError: it is damaged, or its lists have no ids.
    """
    try:
        lists = pq.read_table(path, columns=["user_id", "items"]).combine_chunks()
        column: Any = lists.column("items").combine_chunks()
        users = pc.take(lists.column("user_id"), pc.list_parent_indices(column))
        items = pc.list_flatten(column)
        fields = [items.type.field(n).name for n in range(items.type.num_fields)]
        columns = {"user": users, "item": pc.struct_field(items, "item_id")}
        if "rating" in fields:
            columns["rating"] = pc.struct_field(items, "rating").cast(pa.float64())
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(
            f"{path} is not a file of item lists by user_id, or damaged ({first_line(error)})"
        ) from error
    names = {"user": "user_id", "item": "item_id", "rating": "rating"}
    source = {"path": str(path), "format": "lenskit", "columns": {role: names[role] for role in columns}}
    return to_table(pa.table(columns), source, str(path), names=names)
