"""What further search is expected to bring comes so on average; a search ends by it once: killed, resumed, extended."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.ahead.enough import LEAST_TRIALS, Further, further, is_enough, said_enough
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import Request
from tests.search.simulated import METRIC, course, killed_after, open_conductor, toy_curve, toy_search_config

TRIAL_S = 360.0


def trial(
    number: int, score: float, status: Status = Status.FINISHED, passes: int = 8, seconds: float = TRIAL_S
) -> TrialRecord:
    record = TrialRecord(number, {}, status=status)
    record.take({"passes": passes, "cycle": 1, "train_s": seconds, METRIC: score}, METRIC)
    return record


def trials(scores: Any, **how: Any) -> list[TrialRecord]:
    return [trial(number, float(score), **how) for number, score in enumerate(scores)]


def test_what_is_expected_comes_on_average_and_within_its_deviation() -> None:
    random = np.random.default_rng(0)
    expected, came, inside = [], [], []
    for _ in range(300):
        scores = 0.3 + 0.01 * random.standard_normal(60)
        # Most of a search's trials are stopped early: what they had by then says nothing of the best ones.
        scores[:30] = np.where(scores[:30] < 0.296, scores[:30] - 0.1, scores[:30])
        said = further(trials(scores[:30]), trials=30, at_once=1)
        assert said is not None
        expected.append(said.gain)
        came.append(max(0.0, scores[30:].max() - scores[:30].max()))
        inside.append(abs(came[-1] - said.gain) <= said.deviation)
    # The mean of 300 gains is known to 5 %; the fit to 12 scores adds its own bias, some 10 %.
    assert np.mean(expected) == pytest.approx(np.mean(came), rel=0.25)
    assert 0.6 <= np.mean(inside) <= 0.97, "about two thirds, or more: gains are skew"


def test_a_round_of_gains_is_the_order_statistics_of_the_normal_distribution() -> None:
    scores = np.random.default_rng(1).normal(size=4000)
    said = further(trials(scores), trials=4000, at_once=1)
    assert said is not None
    # Of n draws more than n before, half of the time one is the best of all.
    assert said.chance == pytest.approx(0.5, abs=0.2)
    best, more = scores.max(), np.random.default_rng(2).normal(size=(400, 4000)).max(axis=1)
    drawn = np.maximum(0.0, more - best)
    assert said.gain == pytest.approx(drawn.mean(), rel=0.25)
    assert said.deviation == pytest.approx(drawn.std(), rel=0.25)


def test_the_cost_is_what_trials_took_divided_among_the_workers() -> None:
    records = trials(np.linspace(0.1, 0.3, 20))
    one, four = (further(records, trials=8, at_once=n) for n in (1, 4))
    assert one is not None
    assert four is not None
    assert (one.seconds, four.seconds) == (8 * TRIAL_S, 2 * TRIAL_S)
    assert (one.gain, one.deviation, one.chance) == (four.gain, four.deviation, four.chance)
    assert four.per_hour == pytest.approx(4 * one.per_hour)
    next_one = further(records, trials=1, at_once=1)
    assert next_one is not None
    assert next_one.gain * 3600 / TRIAL_S == pytest.approx(one.per_hour)


def test_too_early_nothing_is_said() -> None:
    scores = np.linspace(0.1, 0.3, LEAST_TRIALS)
    assert further(trials(scores[:-1]), trials=5, at_once=1) is None
    assert further(trials(scores), trials=5, at_once=1) is not None
    assert further(trials(scores, seconds=0.0), trials=5, at_once=1) is None, "they took no time"
    assert further(trials(scores, status=Status.FAILED), trials=5, at_once=1) is None


def test_equal_scores_promise_nothing() -> None:
    said = further(trials([0.3] * 12), trials=12, at_once=2)
    assert said is not None
    assert (said.gain, said.deviation, said.chance, said.per_hour) == (0.0, 0.0, 0.0, 0.0)


def test_trials_that_go_on_count_or_all_would_look_weak() -> None:
    weak = [trial(n, 0.1 + 0.001 * n, Status.STOPPED) for n in range(12)]
    strong = [trial(12 + n, 0.3 + 0.01 * n, Status.RUNNING, passes=16) for n in range(6)]
    begun = [trial(20, 0.01, Status.RUNNING, passes=4)]
    all_of_them, without = (further([*weak, *these], trials=6, at_once=6) for these in (strong, strong[-1:]))
    assert all_of_them is not None
    assert without is not None
    assert all_of_them.gain > 3 * without.gain, (
        "the leader alone among the weak looks like the end of all search"
    )
    young = further([*weak, *strong, *begun], trials=6, at_once=6)
    assert young is not None
    assert young.gain == all_of_them.gain, "what has had fewer passes than any that ended is not compared"


def test_the_words() -> None:
    said = Further(trials=12, seconds=6840, gain=0.0004, deviation=0.0006, chance=0.43, per_hour=0.001)
    assert said.text() == "+0.0004 ± 0.0006 expected for 1 h 54 min more"
    assert said.sentence("NDCG@100") == (
        "12 more trials (about 1 h 54 min) can be expected to bring +0.0004 ± 0.0006 validation NDCG@100, anything at"
        " all with 43% probability."
    )


@pytest.mark.parametrize("price", [0, -0.1, math.nan, "much"])
def test_a_price_is_a_number_above_nothing(price: Any) -> None:
    with pytest.raises(ConfigError, match="must be a number above 0"):
        SearchConfig(enough=price)


def run(conductor: Conductor) -> None:
    """Run trials one after the other, each an hour a cycle, until no other is given out."""
    while (task := conductor.next_task()) is not None:
        for passes in range(4, task.max_passes + 1, 4):
            report = {"passes": passes, "cycle": passes // 4, METRIC: toy_curve(task.config, passes)}
            if conductor.heard(task.number, {**report, "train_s": 3600.0}):
                break
        conductor.finished(task.number)


def priced(price: float | None, n_trials: int = 60) -> SearchConfig:
    return toy_search_config(trials=n_trials, enough=price, sampler="random")


PRICE = 0.002


def test_a_search_ends_where_an_hour_is_not_worth_its_price(tmp_path: Path) -> None:
    dear, cheap = (
        open_conductor(tmp_path / name, priced(p)) for name, p in (("dear", PRICE), ("cheap", 1e-9))
    )
    run(dear)
    run(cheap)
    ended = len(dear.ledger.records)
    assert LEAST_TRIALS <= ended < 60
    assert len(cheap.ledger.records) == 60
    # It is a function of the trials so far: one trial earlier it was worth the while.
    records = list(dear.ledger.records.values())
    assert is_enough(records, PRICE, at_once=1) is not None
    assert is_enough(records[:-1], PRICE, at_once=1) is None
    said = said_enough(dear.ledger.answers)
    assert said.startswith("a further hour can be expected to bring +")
    assert said.endswith(f"less than {PRICE:g}")
    assert said_enough(cheap.ledger.answers) == ""


def test_killed_at_its_end_it_ends_likewise(tmp_path: Path) -> None:
    whole = open_conductor(tmp_path / "whole", priced(PRICE))
    run(whole)
    writes = whole.ledger.mark.lines
    for last in range(writes - 4, writes):
        folder = tmp_path / f"killed-{last}"
        with killed_after(last):
            run(open_conductor(folder, priced(PRICE)))
        again = open_conductor(folder, priced(PRICE))
        run(again)
        assert course(again.ledger) == course(whole.ledger), f"killed after {last} lines"
        assert said_enough(again.ledger.answers) == said_enough(whole.ledger.answers)


def test_what_runs_beside_it_is_stopped_and_says_why(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, priced(PRICE), at_once=2)
    other = conductor.next_task()
    assert other is not None
    run(conductor)
    record = conductor.ledger.records[other.number]
    assert record.status is Status.STOPPED
    assert record.reason == f"the search was ended by enough {PRICE} at 0 passes"


def test_asked_for_more_trials_it_goes_on_and_ends_only_by_another_price(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, priced(PRICE))
    run(conductor)
    ended = len(conductor.ledger.records)
    again = open_conductor(tmp_path, priced(PRICE))
    again.steer("more", Request(action="trials", number=ended + 5))
    run(again)
    assert len(again.ledger.records) == ended + 5, "who asks for more trials gets them"
    dearer = open_conductor(tmp_path, priced(10 * PRICE))
    dearer.steer("still more", Request(action="trials", number=ended + 20))
    run(dearer)
    assert len(dearer.ledger.records) == ended + 5, "by the new price it was enough at once"


def test_what_somebody_added_is_tried_first(tmp_path: Path) -> None:
    conductor = open_conductor(tmp_path, priced(1.0))
    for _ in range(LEAST_TRIALS):
        task = conductor.next_task()
        assert task is not None
        conductor.heard(
            task.number, {"passes": 4, "cycle": 1, METRIC: 0.1 + 0.01 * task.number, "train_s": 3600.0}
        )
        conductor.finished(task.number)
    conductor.steer("mine", Request(action="add", settings={"width": 100, "rate": 0.03, "kind": "b"}))
    task = conductor.next_task()
    assert task is not None
    assert task.config["width"] == 100
    conductor.finished(task.number)
    assert conductor.next_task() is None
