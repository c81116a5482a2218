"""When reports were made, of a trial that was stopped and continued later: some before, the others after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from distrecvae.search.core.records import TrialRecord
from distrecvae.search.report.clock import clock, stints_of

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def line(kind: str, at_s: float, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "at": (BEGUN + timedelta(seconds=at_s)).isoformat(), **more}


def revived(at_s: float, *, done: bool = True) -> dict[str, Any]:
    return line("steered", at_s, done=done, what={"action": "revive", "trials": [3]})


def record(n_reports: int) -> TrialRecord:
    reports = [{"passes": 4 * k, "train_s": 2.0, "evaluate_s": 0.5} for k in range(1, n_reports + 1)]
    return TrialRecord(3, {}, reports=reports)


REPORT = {"kind": "report", "trial": 3}
STOPPED = [line("asked", 100, trial=3), REPORT, REPORT, line("ended", 110, trial=3)]


def test_what_came_before_a_stop_stays_where_it_was() -> None:
    lines = [*STOPPED, revived(5000, done=False), revived(7200), REPORT, line("ended", 7300, trial=3)]
    assert clock(record(3), BEGUN, stints_of(lines)[3]) == pytest.approx([107.5, 110, 7300])


def test_a_trial_that_continues_and_runs_is_reckoned_from_there_on() -> None:
    lines = [*STOPPED, revived(7200), REPORT, REPORT]
    assert clock(record(4), BEGUN, stints_of(lines)[3]) == pytest.approx([107.5, 110, 7202.5, 7205])


def test_one_that_was_over_when_it_continued_has_no_report_more() -> None:
    lines = [*STOPPED, revived(7200), line("ended", 7200, trial=3)]
    assert clock(record(2), BEGUN, stints_of(lines)[3]) == pytest.approx([107.5, 110])


def test_one_without_a_report_has_no_times() -> None:
    assert clock(record(0), BEGUN, stints_of([line("asked", 1, trial=3)])[3]) == []
