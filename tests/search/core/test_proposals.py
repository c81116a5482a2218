"""What a trial is proposed by is a function of its number: the same sampler, the same values set before it draws."""

from __future__ import annotations

from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.samplers import STARTUP_TRIALS
from tests.search.simulated import SPACE, toy_search_config

WARM = {"width": 16, "rate": 0.1, "kind": "b"}


def test_the_first_trial_is_the_start_and_warm_starts_follow_it() -> None:
    proposals = Proposals(SPACE, toy_search_config(), warm_starts=[WARM])
    assert proposals.starting_values(0) == SPACE.default_point()
    assert proposals.starting_values(1) == WARM
    assert [proposals.is_warm(number) for number in range(3)] == [False, True, False]


def test_start_up_trials_keep_a_part_of_the_start_and_later_ones_nothing() -> None:
    proposals = Proposals(SPACE, toy_search_config())
    start = SPACE.default_point()
    for number in range(1, STARTUP_TRIALS):
        kept = proposals.starting_values(number)
        assert kept.items() < start.items()
        assert kept == Proposals(SPACE, toy_search_config()).starting_values(number)
    assert proposals.starting_values(STARTUP_TRIALS) == {}


def test_each_number_has_a_sampler_of_its_own() -> None:
    proposals = Proposals(SPACE, toy_search_config(), concurrent=3)
    assert proposals.sampler(12) is not proposals.sampler(12)
