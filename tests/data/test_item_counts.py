"""How many training users have each item lies beside a model's item ids; older files have ids alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.item_counts import load_counts
from distrecvae.data.stored.tables import load_ids, save_ids
from distrecvae.errors import DataError


def test_they_come_back_beside_the_ids(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    save_ids(path, np.array([7, 5]), counts=np.array([3, 9]))
    found = load_counts(path)
    assert found is not None
    assert found.tolist() == [3, 9]
    assert load_ids(path).tolist() == [7, 5]


def test_a_file_of_ids_alone_has_none(tmp_path: Path) -> None:
    save_ids(tmp_path / "items.parquet", np.array([7, 5]))
    assert load_counts(tmp_path / "items.parquet") is None


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": [1, 2], "interactions": ["a", "b"]}), path)
    with pytest.raises(DataError, match="counts of type string"):
        load_counts(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="damaged"):
        load_counts(path)
    with pytest.raises(DataError, match="missing"):
        load_counts(tmp_path / "absent.parquet")
