"""Recommendations as tables and files: what is written is what was ranked, in few row groups, or nothing at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from distrecvae.data import recommendations
from distrecvae.data.recommendations import Ids, as_frame, writing
from distrecvae.errors import ConfigError, ResultsError

IDS = Ids(np.array(["ann", "bob, jr.", 'c"d'], dtype=object), np.array([30, 10, 20]))
SECOND = (np.array([[1, 2, 0], [0, 1, 2]]), np.array([[3, 2, -np.inf], [0.5, 0.25, 0.125]], dtype=np.float32))
EXPECTED = pd.DataFrame(
    {
        "user_id": ["bob, jr.", "bob, jr.", 'c"d', 'c"d', 'c"d'],
        "rank": [1, 2, 1, 2, 3],
        "item_id": [10, 20, 30, 10, 20],
        "score": [3, 2, 0.5, 0.25, 0.125],
    }
)


def test_a_table_has_ids_and_ranks_and_leaves_out_what_is_hidden() -> None:
    frame = as_frame([IDS.table(1, *SECOND)], IDS)
    pd.testing.assert_frame_equal(frame, EXPECTED, check_dtype=False)
    assert frame["rank"].dtype == np.int32
    assert frame["score"].dtype == np.float32
    assert frame["item_id"].dtype == np.int64


def test_no_rows_are_a_table_with_columns() -> None:
    assert list(as_frame([], IDS).columns) == ["user_id", "rank", "item_id", "score"]


@pytest.mark.parametrize("name", ["r.parquet", "r.pq", "r.CSV"])
def test_files_come_back(tmp_path: Path, name: str) -> None:
    with writing(tmp_path / name, IDS) as sink:
        sink.write(IDS.table(1, *SECOND))
    read = pd.read_csv if name.endswith("CSV") else pd.read_parquet
    pd.testing.assert_frame_equal(read(tmp_path / name), EXPECTED, check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_small_tables_make_large_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommendations, "ROW_GROUP_ROWS", 12)
    with writing(tmp_path / "r.parquet", IDS) as sink:
        for _ in range(7):
            sink.write(IDS.table(1, *SECOND))  # 5 rows each
    file = pq.ParquetFile(tmp_path / "r.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [15, 15, 5]


def test_a_failure_leaves_the_older_file(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("mine")

    def write_and_fail() -> None:
        with writing(tmp_path / "r.csv", IDS) as sink:
            sink.write(IDS.table(1, *SECOND))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_and_fail()
    assert (tmp_path / "r.csv").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["r.csv"]


def test_a_name_must_tell_the_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tells no format by its name; end it in .parquet or .csv"):
        recommendations.require_ending(tmp_path / "r.xlsx")
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(ResultsError, match="is a folder"):
        recommendations.require_ending(tmp_path / "f.csv")


def test_formulas_are_guarded_on_demand_and_numbers_stay() -> None:
    """`=cmd|...` as an item's id ran where the CSV was opened in a spreadsheet."""
    texts = np.array(["=cmd|' /C calc'!A0", "@x", "+1", "a=b"], dtype=object)
    rows = (0, np.array([[0, 1, 2, 3]]), np.zeros((1, 4), dtype=np.float32))
    plain = Ids(np.array([-5]), texts).table(*rows)
    assert plain["item_id"].to_pylist() == texts.tolist()
    guarded = Ids(np.array([-5]), texts, guarded=True).table(*rows)
    assert guarded["item_id"].to_pylist() == ["'=cmd|' /C calc'!A0", "'@x", "'+1", "a=b"]
    assert guarded["user_id"].to_pylist() == [-5] * 4
