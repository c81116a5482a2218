"""What a trial is proposed by is a function of its number: the same sampler, the same values set before it draws."""

from __future__ import annotations

from typing import Any

from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.requests import Request
from distrecvae.search.core.samplers import STARTUP_TRIALS
from distrecvae.search.core.steering import Steering
from tests.search.simulated import SPACE, toy_search_config

FACTS: dict[str, Any] = {"asked": 3, "running": [], "was": 12}


def proposals_of(*warm: dict[str, Any], concurrent: int = 1) -> tuple[Proposals, Steering]:
    config = toy_search_config()
    steering = Steering(SPACE, config, concurrent=concurrent)
    return Proposals(steering, config, warm), steering


WARM = {"width": 16, "rate": 0.1, "kind": "b"}


def test_the_first_trial_is_the_start_and_warm_starts_follow_it() -> None:
    proposals, _ = proposals_of(WARM)
    assert proposals.starting_values(0) == SPACE.default_point()
    assert proposals.starting_values(1) == WARM
    assert [proposals.is_warm(number) for number in range(3)] == [False, True, False]


def test_start_up_trials_keep_a_part_of_the_start_and_later_ones_nothing() -> None:
    proposals, _ = proposals_of()
    start = SPACE.default_point()
    for number in range(1, STARTUP_TRIALS):
        kept = proposals.starting_values(number)
        assert kept.items() < start.items()
        assert kept == proposals_of()[0].starting_values(number)
    assert proposals.starting_values(STARTUP_TRIALS) == {}


def test_each_number_has_a_sampler_of_its_own() -> None:
    proposals, _ = proposals_of(concurrent=3)
    assert proposals.sampler(12) is not proposals.sampler(12)


def test_what_was_added_by_hand_comes_before_anything_else() -> None:
    proposals, steering = proposals_of(WARM)
    steering.apply(Request(action="add", settings={"rate": 0.2, "kind": "b"}), FACTS)
    assert proposals.starting_values(1) == {"width": 64, "rate": 0.2, "kind": "b"}
    assert not proposals.is_warm(1)
    steering.asked()
    assert proposals.starting_values(1) == WARM


def test_in_a_space_that_was_changed_what_does_not_fit_is_left_to_the_sampler() -> None:
    proposals, steering = proposals_of(WARM)
    steering.apply(Request(action="narrow", ranges={"width": [32, 128]}), FACTS)
    assert proposals.starting_values(0) == SPACE.default_point()
    assert proposals.starting_values(1) == {"rate": 0.1, "kind": "b"}, "a width of 16 is outside now"
    steering.apply(Request(action="fix", settings={"kind": "a"}), FACTS)
    assert proposals.starting_values(1) == {"rate": 0.1}
