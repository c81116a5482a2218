"""A search is shown as its folder tells of it: who runs, leads, ended last, on one screen; nothing is written."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from distrecvae.errors import ResultsError
from distrecvae.files import exclusive
from distrecvae.search.core.ahead.enough import further
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status, leading
from distrecvae.search.folder.live import Live, write_live
from distrecvae.search.living.top import QUIET_S, standing
from tests.search.living.conftest import RECVAE
from tests.search.reported import make_search


def test_a_running_search_shows_who_runs_who_leads_and_who_ended(under_way: Path) -> None:
    before = {path: path.read_bytes() for path in under_way.rglob("*") if path.is_file()}
    with exclusive(under_way):
        shown = standing(under_way)
    records = read_records(under_way, "valid/ndcg_100")
    text = shown.text()
    running = [record for record in records.values() if record.status is Status.RUNNING]
    best = leading(records.values())
    assert running
    assert best is not None
    assert shown.runs
    assert f"{len(records) - len(running)} of 12 trials ended, {len(running)} running" in " ".join(
        text.split()
    )
    assert any(
        line.split()[:2] == [str(running[0].number), f"{running[0].passes}/36"] for line in text.splitlines()
    )
    assert f"{best.score:.4f}" in text
    assert str(shown) == shown.text()
    assert "<pre>" in shown._repr_html_()
    after = {
        path: path.read_bytes() for path in under_way.rglob("*") if path.is_file() and path.name != ".lock"
    }
    assert after == before


def test_one_screen_holds_a_search_of_any_length(over: Path) -> None:
    shown = standing(over)
    assert not shown.runs
    assert "finished after 1 min 15 s" in shown.headline()
    best = leading(shown.records.values())
    assert best is not None
    lines = shown.text().splitlines()
    assert len(lines) <= 24, "a screen's lines"
    assert any(line.split()[:2] == [str(best.number), "*"] for line in lines), "the best one is marked"


def test_one_that_was_not_heard_of_for_a_minute_is_called_silent(under_way: Path) -> None:
    with exclusive(under_way):
        assert "silent" not in standing(under_way).headline()
        at = time.time() - QUIET_S - 300
        os.utime(under_way / "ledger.jsonl", (at, at))
        assert "silent for 6 min" in standing(under_way).headline()
    assert "killed after" in standing(under_way).headline()


def test_the_time_goes_on_from_what_was_written_last(under_way: Path) -> None:
    at = time.time() - 100
    os.utime(under_way / "search.json", (at, at))
    with exclusive(under_way):
        elapsed_s = standing(under_way).elapsed_s
    assert elapsed_s >= 75.0 + 100.0
    assert standing(under_way).elapsed_s == 75.0, "of one that was killed, nobody knows more"


def test_before_the_first_trial_there_is_little_to_show(under_way: Path) -> None:
    (under_way / "ledger.jsonl").unlink()
    with exclusive(under_way):
        assert "0 of 12 trials ended" in standing(under_way).text()


def test_a_width_is_kept(under_way: Path) -> None:
    assert max(len(line) for line in standing(under_way).text(60).splitlines()) <= 60


def test_what_is_no_search_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="give the results folder of a search"):
        standing(tmp_path)


def test_what_workers_are_at_and_what_is_to_go_is_as_the_search_says_it(under_way: Path) -> None:
    records = read_records(under_way, "valid/ndcg_100")
    running = next(record for record in records.values() if record.status is Status.RUNNING)
    ended = next(record for record in records.values() if record.status is not Status.RUNNING)
    doing = {str(running.number): "saving", str(ended.number): "training", "99": "training"}
    steps = {str(running.number): (0.5, 20.0), "99": (0.5, None)}
    write_live(under_way, Live(elapsed_s=80.0, to_go=(300.0, 600.0, 900.0), doing=doing, steps=steps))
    with exclusive(under_way):
        shown = standing(under_way)
    taken = shown.records[running.number]
    assert (taken.share, taken.step_to_go_s) == (0.5, 20.0)
    text = shown.text(150)
    assert any(
        line.split()[:1] == [str(running.number)] and line.endswith("saving") for line in text.splitlines()
    )
    assert "training" not in text, "of trials that ended, or that nobody knows"
    assert "to go (" in text
    assert "to go" not in standing(under_way).text(150), "nobody runs it any more"
    write_live(under_way, Live(elapsed_s=80.0, paused=True))
    with exclusive(under_way):
        assert "paused after" in standing(under_way).headline()


def test_it_says_what_the_leading_trial_leans_on(over: Path) -> None:
    best = leading(standing(over).records.values())
    assert best is not None
    leans = bool(RECVAE.edges(best.config)) or best.still_rising
    assert leans == (f"trial {best.number} leads, and" in standing(over).text(150))


def test_what_the_trials_to_come_can_be_expected_to_bring(tmp_path: Path) -> None:
    make_search(tmp_path / "it", space=RECVAE, trials=40, max_passes=24, status="running", stop_after=60)
    with exclusive(tmp_path / "it"):
        shown = standing(tmp_path / "it")
    to_come = 40 - len(shown.records)
    assert to_come > 0
    expected = further(shown.records.values(), trials=to_come, at_once=shown.described.plan.concurrent)
    assert expected is not None
    assert expected.text() in " ".join(shown.text(200).split())
    assert standing(tmp_path / "it").further() == "", "one that does not run has none to come"
