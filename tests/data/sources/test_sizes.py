"""A source that does not fit the memory is refused by what it declares, before it is read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distrecvae.data.sources import read_table, sizes
from distrecvae.data.sources.sizes import memory_left, require_room
from distrecvae.errors import DataError


def test_memory_is_known_here() -> None:
    left = memory_left()
    assert left is not None
    assert left > 1 << 20


def test_more_than_the_memory_or_than_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "memory_left", lambda: 48_000)
    require_room(1000, "x", None)
    require_room(5000, "x", 5000)
    with pytest.raises(DataError, match="x has 1,001 rows, which take about"):
        require_room(1001, "x", None)
    with pytest.raises(DataError, match="x has 5,001 rows, more than 5,000; raise --max-rows"):
        require_room(5001, "x", 5000)
    monkeypatch.setattr(sizes, "memory_left", lambda: None)
    require_room(1 << 60, "x", None)


def test_a_small_file_of_many_rows_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """3 MB of Parquet held 400 million equal rows."""
    path = tmp_path / "a.parquet"
    column = pa.array(np.zeros(1_000_000, dtype=np.int64))
    pq.write_table(pa.table({"user_id": column, "item_id": column}), path)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(sizes, "memory_left", lambda: 1 << 20)
    with pytest.raises(DataError, match="has 1,000,000 rows"):
        read_table(path)


def test_a_text_is_held_to_the_memory_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "user_id,item_id\n" + "1000,2000\n" * 30_000
    (tmp_path / "a.csv").write_text(rows)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", rows)
    monkeypatch.setattr(sizes, "memory_left", lambda: 48 * 20_000)
    for name in ("a.csv", "a.zip"):
        with pytest.raises(
            DataError, match=r"has about (29,9|30,0)\d\d rows, which take about .*--max-rows overrides this"
        ):
            read_table(tmp_path / name)
        assert read_table(tmp_path / name, max_rows=30_000).n_rows == 30_000
