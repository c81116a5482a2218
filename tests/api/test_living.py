"""What Python users call about a search that is there gives what the commands print."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from distrecvae.api.living import clean, reproduce, searches, top, why
from distrecvae.errors import ResultsError
from tests import ROOT

KEPT = ROOT / "tests" / "kept" / "search-2"


def test_searches_are_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(KEPT, tmp_path / "runs" / "mine")
    found = searches(tmp_path)
    assert len(found) == 1
    row = found.iloc[0]
    assert (row["folder"], row["status"], row["trials"]) == (tmp_path / "runs" / "mine", "finished", 6)
    assert row["best"] == pytest.approx(0.3198, abs=1e-4)
    monkeypatch.chdir(tmp_path)
    assert list(searches()["folder"]) == [Path("runs/mine")]
    assert list(searches(tmp_path / "runs" / "mine" / "best").columns) == list(found.columns)


def test_top_is_how_it_stands(tmp_path: Path) -> None:
    assert "6 of 6 trials ended" in str(top(KEPT))
    with pytest.raises(ResultsError, match="holds no search"):
        top(tmp_path)


def test_clean_removes_only_when_it_is_told_to(tmp_path: Path) -> None:
    shutil.copytree(KEPT, tmp_path / "mine")
    assert len(clean(tmp_path / "mine").checkpoints) == 2
    assert clean(tmp_path / "mine", yes=True).removed
    assert clean(tmp_path / "mine").checkpoints == ()


def test_why_is_what_the_command_prints() -> None:
    found = why(KEPT, trial=4)
    assert found.record.number == 4
    assert "It was stopped." in str(found)
    with pytest.raises(ResultsError, match="has no trial 9"):
        why(KEPT, trial=9)


def test_reproduce_compares_reports() -> None:
    found = reproduce(KEPT, trial=0, until=1, data=KEPT.parent / "data")
    assert [each.cycle for each in found.compared] == [1]
    with pytest.raises(ResultsError, match="has no trial 9"):
        reproduce(KEPT, trial=9, data=KEPT.parent / "data")
