"""When a silent trial is named, and when its worker is stopped: many times its usual cycle, and not at once."""

from __future__ import annotations

import pytest

from distrecvae.search.core import silence
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.core.silence import NAMED_S, STOPPED_S, UNKNOWN_S, Silence, Step, usual_s
from tests.search.simulated import METRIC


def record(number: int, *cycles_s: float) -> TrialRecord:
    found = TrialRecord(number, {})
    for cycle, seconds in enumerate(cycles_s, 1):
        report = {"cycle": cycle, "passes": 4 * cycle, METRIC: 0.1}
        found.take({**report, "train_s": 0.75 * seconds, "evaluate_s": 0.25 * seconds}, METRIC)
    return found


def course(silent: Silence, seconds: float, step_s: float = 1.0) -> list[tuple[int, Step, float]]:
    """Let seconds pass in steps; return what was found and after how many."""
    found, passed = [], 0.0
    while passed < seconds:
        passed += step_s
        found += [(each.number, each.step, passed) for each in silent.passed(step_s)]
    return found


def test_a_trial_of_short_cycles_is_named_after_a_minute_and_stopped_after_five() -> None:
    silent = Silence({0: record(0, 0.01, 0.02)})
    silent.heard(0)
    found = course(silent, STOPPED_S)
    assert found == [(0, Step.NAME, NAMED_S), (0, Step.STOP, STOPPED_S)]


def test_a_trial_of_long_cycles_is_given_many_of_them() -> None:
    silent = Silence({0: record(0, 30.0, 20.0)})
    silent.heard(0)
    found = course(silent, 1200.0)
    assert found == [(0, Step.NAME, 300.0), (0, Step.STOP, 1200.0)]


def test_a_sign_of_life_begins_it_anew() -> None:
    silent = Silence({0: record(0, 0.01)})
    silent.heard(0)
    assert course(silent, 200.0) == [(0, Step.NAME, NAMED_S)]
    silent.heard(0)
    assert course(silent, 200.0) == [(0, Step.NAME, NAMED_S)]


def test_a_first_cycle_may_be_longer_than_the_others() -> None:
    records = {0: record(0, 12.0), 1: record(1)}
    assert usual_s(records[1], records) == 120.0
    silent = Silence(records)
    silent.heard(1)
    assert course(silent, 4800.0) == [(1, Step.NAME, 1200.0), (1, Step.STOP, 4800.0)]


def test_where_no_cycle_is_known_a_trial_is_named_and_left_alone() -> None:
    silent = Silence({0: record(0)})
    silent.heard(0)
    assert course(silent, 100 * UNKNOWN_S, 10.0) == [(0, Step.NAME, UNKNOWN_S)]


def test_a_trial_without_a_worker_is_not_silent() -> None:
    # It waits for a node, for hours perhaps.
    silent = Silence({0: record(0, 0.01)})
    assert course(silent, 1000.0) == []
    silent.heard(0)
    silent.over(0)
    assert course(silent, 1000.0) == []


def test_a_long_search_pays_nothing_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loop goes round ten times a second: records are looked at only where a trial has been silent for long.
    silent = Silence({0: record(0, 0.01)})
    silent.heard(0)
    monkeypatch.setattr(silence, "usual_s", lambda *_: pytest.fail("records were read"))
    assert course(silent, NAMED_S - 1) == []
