"""Times as sources have them: numbers, dates, texts of either, in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from distrecvae.data.sources import read_table
from distrecvae.data.sources.columns import Told
from distrecvae.data.sources.frames import read_frame
from distrecvae.data.sources.times import clean_times
from distrecvae.errors import DataError

BEGINNING_OF_2015 = 1_420_070_400.0


def cleaned(values: Any, kind: pa.DataType | None = None) -> list[float | None]:
    found = clean_times(pa.chunked_array([pa.array(values, kind)]), "a.csv: column 'time'")
    assert found.dtype == np.float64
    return [None if np.isnan(each) else float(each) for each in found]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["2015-01-01", "", "2015-01-01T00:00:01Z"], None),
        ([" 2015-01-01 00:00:00", "NaT", "2015-01-01T01:00:01+01:00"], None),
        (["1420070400", "null", "1420070401.0"], None),
        ([1420070400, None, 1420070401], pa.int64()),
        ([1420070400_000, None, 1420070401_000], pa.timestamp("ms")),
        ([1420070400_000_000_000, None, 1420070401_000_000_000], pa.timestamp("ns", tz="Europe/Berlin")),
        (["1420070400", None, "1420070401"], pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_numbers_and_dates_become_seconds(values: Any, kind: pa.DataType | None) -> None:
    assert cleaned(values, kind) == [BEGINNING_OF_2015, None, BEGINNING_OF_2015 + 1]


def test_days_and_nothing_at_all() -> None:
    assert cleaned([16436], pa.date32()) == [BEGINNING_OF_2015]
    assert cleaned([None, None]) == [None, None]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["2015-01-01", "yesterday"],
            "a.csv: column 'time' has time 'yesterday' in row 2; times are numbers, or",
        ),
        (["31/12/2015"], "has time '31/12/2015' in row 1"),
        ([True, False], "holds bool, and no times"),
        ([1.0, float("inf")], "not finite in row 2"),
    ],
)
def test_what_is_no_time_is_refused_with_its_row(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cleaned(values)


SOURCES = {
    "a.csv": "user,item,date\nann,x,2015-01-01\nbob,y,2015-01-02\n",
    "a.tsv": "user\titem\ttimestamp\nann\tx\t1420070400\nbob\ty\t1420156800\n",
    "a.inter": "user_id:token\titem_id:token\ttimestamp:float\nann\tx\t1420070400.0\nbob\ty\t1420156800.0\n",
    "a.jsonl": '{"user":"ann","item":"x","time":"2015-01-01"}\n{"user":"bob","item":"y","time":"2015-01-02"}\n',
    "ratings.dat": "ann::x::5::1420070400\nbob::y::4::1420156800\n",
    "combined_data_1.txt": "7:\n1,5,2015-01-01\n2,4,2015-01-02\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_text_format_has_them_where_they_are_asked_for(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SOURCES[name])
    table = read_table(tmp_path / name, times=True)
    assert table.times is not None
    assert table.times.tolist() == [BEGINNING_OF_2015, BEGINNING_OF_2015 + 86_400]
    # A split that does not go by them is not hindered by them, and pays nothing.
    assert read_table(tmp_path / name).times is None


def test_so_have_parquet_and_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"user": ["a", "b"], "item": [1, 2], "when": pd.to_datetime(["2015-01-01", "NaT"]), "n": ["x", 3]}
    )
    frame[["user", "item", "when"]].to_parquet(tmp_path / "a.parquet")
    from distrecvae.data.sources.columns import ColumnNames

    columns = ColumnNames(timestamp="when")
    for table in (
        read_table(tmp_path / "a.parquet", columns, times=True),
        read_frame(frame, Told(columns=columns, times=True)),
    ):
        assert table.times is not None
        assert table.times[0] == BEGINNING_OF_2015
        assert np.isnan(table.times[1])
    with pytest.raises(DataError, match=r"times of several kinds .*pandas.to_datetime\(frame\['n'\]\)"):
        read_frame(frame, Told(columns=ColumnNames(timestamp="n"), times=True))
    assert read_frame(frame, Told(columns=ColumnNames(timestamp="n"))).times is None


def test_rows_left_out_take_their_times_with_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,time\na,1,5\nNA,2,6\nb,3,7\n")
    table = read_table(tmp_path / "a.csv", missing=("NA",), times=True)
    assert table.times is not None
    assert table.times.tolist() == [5.0, 7.0]
    (tmp_path / "b.csv").write_text("user,item,time\na,1,5\nb,2,noon\n")
    with pytest.raises(DataError, match="column 'time' has time 'noon' in line 3"):
        read_table(tmp_path / "b.csv", times=True)
    assert read_table(tmp_path / "b.csv").n_rows == 2
