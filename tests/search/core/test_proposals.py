"""What a trial is proposed by is a function of its number: the same sampler, the same values set before it draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import optuna
import pytest

from distrecvae.search.core import proposals
from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.requests import Request
from distrecvae.search.core.samplers import STARTUP_TRIALS, make_sampler, redrawing_samplers
from distrecvae.search.core.steering import Steering
from distrecvae.search.space.likely import Likely
from tests.search.simulated import SPACE, toy_search_config

FACTS: dict[str, Any] = {"asked": 3, "running": [], "was": 12}


def proposals_of(*warm: dict[str, Any], concurrent: int = 1) -> tuple[Proposals, Steering]:
    config = toy_search_config()
    steering = Steering(SPACE, config, concurrent=concurrent)
    return Proposals(steering, config, warm), steering


WARM = {"width": 16, "rate": 0.1, "kind": "b"}


def test_the_first_trial_is_the_start_and_warm_starts_follow_it() -> None:
    by, _ = proposals_of(WARM)
    assert by.starting_values(0) == SPACE.default_point()
    assert by.starting_values(1) == WARM
    assert [by.is_warm(number) for number in range(3)] == [False, True, False]


def test_start_up_trials_keep_a_part_of_the_start_and_later_ones_nothing() -> None:
    by, _ = proposals_of()
    start = SPACE.default_point()
    for number in range(1, STARTUP_TRIALS):
        kept = by.starting_values(number)
        assert kept.items() < start.items()
        assert kept == proposals_of()[0].starting_values(number)
    assert by.starting_values(STARTUP_TRIALS) == {}


def test_each_number_has_a_sampler_of_its_own() -> None:
    by, _ = proposals_of(concurrent=3)
    assert by.sampler(12) is not by.sampler(12)


def test_what_was_added_by_hand_comes_before_anything_else() -> None:
    by, steering = proposals_of(WARM)
    steering.apply(Request(action="add", settings={"rate": 0.2, "kind": "b"}), FACTS)
    assert by.starting_values(1) == {"width": 64, "rate": 0.2, "kind": "b"}
    assert not by.is_warm(1)
    steering.asked()
    assert by.starting_values(1) == WARM


def test_in_a_space_that_was_changed_what_does_not_fit_is_left_to_the_sampler() -> None:
    by, steering = proposals_of(WARM)
    steering.apply(Request(action="narrow", ranges={"width": [32, 128]}), FACTS)
    assert by.starting_values(0) == SPACE.default_point()
    assert by.starting_values(1) == {"rate": 0.1, "kind": "b"}, "a width of 16 is outside now"
    steering.apply(Request(action="fix", settings={"kind": "a"}), FACTS)
    assert by.starting_values(1) == {"rate": 0.1}


def test_a_sampler_that_asks_is_told_what_the_space_expects_now(monkeypatch: pytest.MonkeyPatch) -> None:
    expecting = replace(SPACE, likely={"rate": Likely(((0, 0.02),), None, 5.0)})
    told: list[Any] = []

    def heard(*_: Any, expected: Any, **__: Any) -> Any:
        told.append(expected)
        return iter(())

    for name in ("make_sampler", "redrawing_samplers"):
        monkeypatch.setattr(proposals, name, heard)
    by = Proposals(Steering(expecting, toy_search_config(), concurrent=1), toy_search_config())
    by.sampler(3)
    by.redraws(3)
    monkeypatch.setattr("distrecvae.search.core.samplers.make_sampler", heard)
    next(redrawing_samplers("guided", seed=1, trial_number=3, expected=told[0]))
    assert told == [{"rate": (0.02, 5.0)}] * 3


def test_guided_proposes_what_is_expected_and_others_do_not_know() -> None:
    # Trial 1 comes after the start alone: nothing is learnt by then.
    def first(sampler: str, rate: float) -> float:
        study = optuna.create_study(direction="maximize")
        study.enqueue_trial(SPACE.default_point())
        SPACE.suggest(study.ask())
        study.sampler = make_sampler(sampler, seed=1, trial_number=1, expected={"rate": (rate, 5.0)})
        return float(SPACE.suggest(study.ask())["rate"])

    assert first("guided", 1e-9) < first("guided", 1e9)
    assert first("tpe", 1e-9) == first("tpe", 1e9)
