"""A trial trains on under its search's record, without Ray: from its checkpoint, and the best is published again."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.api.going_on import train_on
from distrecvae.errors import ConfigError
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status
from tests.kept_here import kept_here


def test_a_trial_of_a_search_that_is_over_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_here("search-2", tmp_path, monkeypatch)
    monkeypatch.setattr("distrecvae.search.course.written_report", lambda _: "")
    before = read_records(Path("mine"), "valid/ndcg_100")[5]
    said = train_on("mine", trial=5, max_passes=24)
    record = read_records(Path("mine"), "valid/ndcg_100")[5]
    assert (record.status, record.passes, record.max_passes) == (Status.FINISHED, 24, 24)
    assert record.reports[: len(before.reports)] == before.reports
    assert [report["cycle"] for report in record.reports] == [1, 2, 3, 4, 5, 6]
    assert "6 of 6 trials" in said
    assert not list(Path("mine/requests").iterdir())
    with pytest.raises(ConfigError, match="give max_passes 28 or more"):
        train_on("mine", trial=5, max_passes=26)
