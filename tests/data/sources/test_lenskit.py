"""LensKit's data sets and lists."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from distrecvae.data.sources.lenskit import is_lenskit_dataset, is_lists, read_lenskit, read_lists
from distrecvae.data.table import InteractionTable
from distrecvae.errors import DataError
from tests.data.sources.lenskit_files import write_dataset, write_lists

FRAME = pd.DataFrame({"user_id": [7, 7, 3, 9], "item_id": [50, 20, 50, 10], "rating": [4.0, 3.0, 5.0, 1.0]})


def pairs(table: InteractionTable) -> set[tuple[int, int]]:
    users, items = table.user_ids[table.users], table.item_ids[table.items]
    return set(zip(users.tolist(), items.tolist(), strict=True))


EXPECTED = {(7, 50), (7, 20), (3, 50), (9, 10)}


def test_a_data_set_is_read_by_its_ids(tmp_path: Path) -> None:
    write_dataset(FRAME, tmp_path / "train")
    assert is_lenskit_dataset(tmp_path / "train")
    assert not is_lenskit_dataset(tmp_path)
    table = read_lenskit(tmp_path / "train")
    assert pairs(table) == EXPECTED
    assert table.ratings is not None
    assert table.ratings.tolist() == [4.0, 3.0, 5.0, 1.0]
    (tmp_path / "train" / "rating.parquet").unlink()
    with pytest.raises(DataError, match="is not a data set of LensKit's, or damaged"):
        read_lenskit(tmp_path / "train")


def test_lists_are_read_user_by_user(tmp_path: Path) -> None:
    write_lists(FRAME, tmp_path / "test.parquet")
    assert is_lists(tmp_path / "test.parquet")
    assert pairs(read_lists(tmp_path / "test.parquet")) == EXPECTED
    FRAME.to_parquet(tmp_path / "flat.parquet")
    assert not is_lists(tmp_path / "flat.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and no more")
    assert not is_lists(tmp_path / "torn.parquet")
    with pytest.raises(DataError, match="not a file of item lists"):
        read_lists(tmp_path / "flat.parquet")
