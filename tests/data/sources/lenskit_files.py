"""Files as LensKit 2025 writes them, made without it: its layout of tables, down to names and types."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def write_dataset(frame: pd.DataFrame, folder: Path) -> None:
    """Write user_id, item_id and perhaps rating as `Dataset.save` does."""
    folder.mkdir()
    users, items = (sorted(frame[name].unique()) for name in ("user_id", "item_id"))
    schema = {
        "name": "ml", "default_interaction": "rating",
        "entities": {"user": {"id_type": "int"}, "item": {"id_type": "int"}},
        "relationships": {"rating": {"entities": {"user": None, "item": None}, "interaction": True}},
    }  # fmt: skip
    (folder / "schema.json").write_text(json.dumps(schema))
    pq.write_table(pa.table({"user_id": users}), folder / "user.parquet")
    pq.write_table(pa.table({"item_id": items}), folder / "item.parquet")
    numbers = {
        f"{kind}_num": pa.array(frame[f"{kind}_id"].map({id_: n for n, id_ in enumerate(ids)}), pa.int32())
        for kind, ids in (("user", users), ("item", items))
    }
    rest = {"rating": pa.array(frame["rating"], pa.float32())} if "rating" in frame else {}
    pq.write_table(pa.table(numbers | rest), folder / "rating.parquet")


def write_lists(frame: pd.DataFrame, path: Path) -> None:
    """Write user_id and item_id as `ItemListCollection.save_parquet` does: a row a user, with a list of items."""
    lists = frame.groupby("user_id")["item_id"].agg(list)
    kind = pa.list_(pa.struct({"item_id": pa.int64()}))
    items = pa.array([[{"item_id": item} for item in each] for each in lists], kind)
    pq.write_table(pa.table({"user_id": pa.array(lists.index), "items": items}), path)
