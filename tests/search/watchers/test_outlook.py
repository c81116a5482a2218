"""The time to go is told at the pace of this run: what lies between reports counts, what comes once does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from distrecvae.activity import GRAM, INVERTING, TRAINING, WAITING
from distrecvae.search.core.ahead.enough import further
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import Request
from distrecvae.search.core.rules import Never
from distrecvae.search.folder.live import read_live
from distrecvae.search.watchers.outlook import ANEW_EVERY_S, Outlook, show_elsewhere
from tests.search.simulated import open_conductor, toy_search_config
from tests.search.watchers.test_progress import Clock, Records, clock, record, report

__all__ = ["clock"]  # a fixture


def opened(*records: TrialRecord, at_once: int = 1, **settings: float) -> Outlook:
    config = SearchConfig(trials=4, max_passes=8, scheduler="none", **settings)  # type: ignore[arg-type]
    return Outlook(Records(*records), config, Never(), trial_passes=8, at_once=at_once)


def likely(outlook: Outlook, clock: Clock) -> float | None:
    clock.now += ANEW_EVERY_S
    found = outlook.to_go(0.0)
    return None if found is None else found.likely_s


def test_workers_first_start_is_not_taken_for_their_pace(clock: Clock) -> None:
    # It was: in its first minute a search was said to take twice as long as it did.
    first = record(0)
    outlook = opened(first)
    outlook.started(first)
    assert outlook.to_go(0.0) is None
    clock.now += 30.0 + 45.0
    for _ in range(2):
        outlook.reported(report(first, 0.1))
        clock.now += 45.0
    first.status = Status.FINISHED
    outlook.ended(first)
    assert likely(outlook, clock) == 3 * 90.0


def test_what_lies_between_reports_and_between_trials_counts(clock: Clock) -> None:
    first, second = record(0), record(1)
    outlook = opened(first, second)
    outlook.started(first)
    outlook.reported(report(first, 0.1))
    clock.now += 60.0  # 45 s of work, and a state was sent
    outlook.reported(report(first, 0.1))
    first.status = Status.FINISHED
    outlook.ended(first)
    outlook.started(second)
    clock.now += 75.0
    outlook.reported(report(second, 0.1))
    # 135 s of work in 180 s; one cycle, half of it done, and two trials of 90 s.
    assert likely(outlook, clock) == pytest.approx((22.5 + 180.0) * 180 / 135)


def test_it_is_no_longer_than_the_time_budget_leaves(clock: Clock) -> None:
    outlook = opened(record(0, 0.1, 0.1, status=Status.FINISHED), time_budget_s=100.0)
    outlook.reported(outlook._ledger.records[0])
    found = outlook.to_go(70.0)
    assert found is not None
    assert found.high_s == 30.0


def test_a_search_that_is_paused_tells_nothing_and_one_that_waits_for_nodes_has_fewer_workers(
    clock: Clock,
) -> None:
    ended, one, other = record(0, 0.1, 0.1, status=Status.FINISHED), record(1), record(2)
    one.doing, other.doing = TRAINING, WAITING
    outlook = opened(ended, one, other, at_once=2)
    outlook.reported(ended)
    assert likely(outlook, clock) == 3 * 90.0
    other.doing = TRAINING
    assert likely(outlook, clock) == 2 * 90.0
    outlook.at_once = 0
    assert likely(outlook, clock) is None


def test_it_is_written_down_for_others(tmp_path: Path) -> None:
    config = toy_search_config(trials=3)
    conductor = open_conductor(tmp_path, config)
    assert conductor.next_task() is not None
    outlook = Outlook(conductor.ledger, config, Never(), trial_passes=36, at_once=2)
    outlook.follow(conductor)
    assert (outlook.n_trials, outlook.at_once) == (3, 1)
    conductor.steer("wider", Request(action="widen", ranges={"rate": [1e-5, None]}))
    outlook.follow(conductor)
    assert outlook.space is conductor.steering.space
    conductor.advanced(0, 0.4, 12.0)
    show_elsewhere(tmp_path, conductor, outlook)
    live = read_live(tmp_path)
    assert live is not None
    assert live.steps == {"0": (0.4, 12.0)}
    assert (live.doing, live.to_go, live.paused) == ({"0": WAITING}, None, False)


def test_what_the_trials_to_come_can_be_expected_to_bring_is_told_while_there_are_some(clock: Clock) -> None:
    ended = [record(n, 0.1, 0.1 + 0.01 * n, status=Status.FINISHED) for n in range(12)]
    outlook = opened(*ended, at_once=2)
    outlook.n_trials = 18
    said = outlook.further()
    assert said == further(ended, trials=6, at_once=2)
    assert said is not None
    outlook.n_trials = 12
    assert outlook.further() is said, "it is not worked out at every look"
    clock.now += ANEW_EVERY_S
    assert outlook.further() is None


def test_of_long_single_steps_it_is_told_before_the_first_report(clock: Clock) -> None:
    # A search of EASE on 15,000 items told nothing of its end for as long as its first trial took.
    one, other = record(0), record(1)
    config = SearchConfig(trials=5, scheduler="none")
    outlook = Outlook(Records(one, other), config, Never(), trial_passes=1, at_once=2)
    one.share, one.step_to_go_s, one.doing = 0.5, 30.0, GRAM
    assert likely(outlook, clock) is None, "that is the matrix and not the step"
    one.doing = INVERTING
    # A trial takes 60 s: the one 30 and 60 and 60, the other, of which nothing is known, 60 and 60.
    assert likely(outlook, clock) == 150.0
    other.share, other.step_to_go_s = 0.25, 75.0
    # 80 s: the one 30 and 80, the other one 75 and 80, and another 80 on the first.
    assert likely(outlook, clock) == 190.0
