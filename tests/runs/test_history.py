"""A run's history: a row a report, under the names of all of them."""

from __future__ import annotations

from pathlib import Path

from distrecvae.runs.history import HISTORY_FILE, write_history


def test_reports_of_different_phases_share_a_table(tmp_path: Path) -> None:
    write_history(tmp_path, [{"cycle": 1, "train/a": 0.5}, {"cycle": 2, "train/b": 0.25}])
    assert (tmp_path / HISTORY_FILE).read_text() == "cycle,train/a,train/b\n1,0.5,\n2,,0.25\n"


def test_there_is_nothing_before_the_first_report(tmp_path: Path) -> None:
    write_history(tmp_path, [])
    assert list(tmp_path.iterdir()) == []
