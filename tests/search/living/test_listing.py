"""Every search below a folder is listed, as it stands, whatever state it is in; nothing is written."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from distrecvae.errors import ResultsError
from distrecvae.files import exclusive
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import leading
from distrecvae.search.living.listing import HEAD, rows, searches_below


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_search_says_its_status_best_age_and_size(over: Path, tmp_path: Path) -> None:
    shutil.copytree(over, tmp_path / "deep" / "er" / "mine")
    before = contents(tmp_path)
    (found,) = searches_below(tmp_path)
    best = leading(read_records(over, "valid/ndcg_100").values())
    assert best is not None
    assert (found.status, found.model, found.ended, found.trials) == ("finished", "recvae", 20, 20)
    assert found.best == best.score
    assert found.size_bytes == sum(len(data) for data in before.values())
    assert contents(tmp_path) == before
    (row,) = rows([found], now=datetime(2026, 11, 25, 12, 30, tzinfo=UTC))
    said = dict(zip(HEAD, row, strict=True))
    assert (said["trials"], said["data"], said["age"]) == ("20/20", "my data", "2 h 30 min")
    assert said["best"] == f"NDCG@100 {best.score:.4f}"


def test_one_that_runs_is_told_from_one_that_was_killed(under_way: Path) -> None:
    (killed,) = searches_below(under_way.parent)
    assert killed.status == "killed"
    with exclusive(under_way):
        (running,) = searches_below(under_way.parent)
    assert running.status == "running"
    assert running.ended < running.trials


def test_the_one_that_was_heard_of_last_is_the_first(over: Path, tmp_path: Path) -> None:
    import os

    for name, hours in (("b", 3), ("a", 1), ("c", 2)):
        shutil.copytree(over, tmp_path / name)
        at = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
        os.utime(tmp_path / name / "ledger.jsonl", (at, at))
    assert [each.folder.name for each in searches_below(tmp_path)] == ["a", "c", "b"]


def test_a_damaged_one_is_listed_with_what_is_wrong_and_the_others_all_the_same(
    over: Path, tmp_path: Path
) -> None:
    for name in ("good", "edited", "nonsense"):
        shutil.copytree(over, tmp_path / name)
    ledger = tmp_path / "edited" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b"0.1", b"0.9", 1))
    (tmp_path / "nonsense" / "search.json").write_text("[]", encoding="utf-8")
    found = {each.folder.name: each for each in searches_below(tmp_path)}
    assert {name: each.status for name, each in found.items()} == {
        "good": "finished", "edited": "damaged", "nonsense": "damaged"
    }  # fmt: skip
    assert "ledger.jsonl" in found["edited"].trouble
    assert "search.json" in found["nonsense"].trouble
    assert len(rows(list(found.values()), now=datetime.now(UTC))) == 3


def test_one_that_was_killed_before_its_first_trial_is_listed(over: Path, tmp_path: Path) -> None:
    (tmp_path / "early").mkdir()
    described = json.loads((over / "search.json").read_text(encoding="utf-8"))
    described |= {"status": "running", "ledger": {"lines": 0, "check": ""}}
    (tmp_path / "early" / "search.json").write_text(json.dumps(described), encoding="utf-8")
    (found,) = searches_below(tmp_path)
    assert (found.status, found.ended, found.best) == ("killed", 0, None)


def test_hidden_folders_are_passed_by_and_no_folder_is_an_error(over: Path, tmp_path: Path) -> None:
    shutil.copytree(over, tmp_path / ".mine.x.part")
    assert searches_below(tmp_path) == []
    with pytest.raises(ResultsError, match="is not a folder; give one with searches"):
        searches_below(tmp_path / "runs")
