"""An end pulls where chance would not bring the best trials: not where they were put, nor where the model ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from distrecvae.search.core.ahead import widening
from distrecvae.search.core.ahead.widening import CHANCE, FEW, MOST_OF_THEM, SHARE, Allows, Pull
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.samplers import STARTUP_TRIALS
from distrecvae.search.space.changing import with_range
from distrecvae.search.space.space import SearchSpace

METRIC = "valid/ndcg_100"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Stands for a model's config."""

    rate: float = 1e-3
    share: float = 0.5
    layers: int = 3
    passes: int = 1
    kind: str = "a"
    gamma: float | None = 0.01
    beta: float | None = None


SPACE = SearchSpace.from_mapping(
    {
        "model": "toy",
        "parameters": {
            "rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
            "share": {"type": "float", "low": 0.0, "high": 0.8},
            "layers": {"type": "int", "low": 1, "high": 5},
            "passes": {"type": "int", "low": 1, "high": 2},
            "kind": {"type": "categorical", "choices": ["a", "b"]},
            "weight": {
                "type": "one_of",
                "branches": {
                    "by_gamma": {"gamma": {"type": "float", "low": 1e-3, "high": 1e-1, "log": True}},
                    "by_beta": {"beta": {"type": "float", "low": 0.1, "high": 1.0}},
                },
            },
        },
    },
    config_class=Config,
)
INSIDE: dict[str, Any] = {
    "rate": 1e-3,
    "share": 0.4,
    "layers": 3,
    "passes": 1,
    "kind": "a",
    "gamma": 0.01,
    "beta": None,
}


def trial(number: int, score: float, status: Status = Status.FINISHED, **config: Any) -> TrialRecord:
    record = TrialRecord(number, {**INSIDE, **config}, status=status)
    record.take({"passes": 8, "cycle": 1, METRIC: score}, METRIC)
    return record


def led_by(
    *best: Mapping[str, Any], first: int = STARTUP_TRIALS, others: int = STARTUP_TRIALS
) -> list[TrialRecord]:
    """Return trials of which the best have these values, the first one of them the best of all."""
    weak = [trial(number, 0.1 + 0.001 * number) for number in range(others)]
    return weak + [trial(first + place, 0.5 - 0.01 * place, **config) for place, config in enumerate(best)]


def pulls(records: list[TrialRecord], space: SearchSpace = SPACE, allows: Allows | None = None) -> list[Pull]:
    return widening.pulls(records, space, SPACE, allows)


def shares_below(limit: float) -> Allows:
    return lambda config: bool(config["share"] < limit)


def test_three_of_the_best_four_at_an_edge_pull_and_two_do_not() -> None:
    edge, inside = {"rate": 9e-3}, {"rate": 2e-3}
    (pull,) = pulls(led_by(edge, edge, inside, edge), SPACE)
    assert pull == Pull("rate", "larger", 3, FEW, 0.1)
    assert pull.ends == [None, 0.1]
    assert pull.text() == "3 of the best 4 trials lay at the upper end of rate"
    assert pulls(led_by(edge, edge, inside, inside), SPACE) == []
    assert pulls(led_by(inside, edge, edge, edge), SPACE) == [], "the best one lies inside"
    (down,) = pulls(led_by(*[{"rate": 1.01e-4}] * 4), SPACE)
    assert (down.direction, down.at_edge, down.ends) == ("smaller", 4, [1e-5, None])


def test_by_chance_uniform_trials_hardly_ever_pull() -> None:
    # 400 rounds of 40 trials, 8 ends that can pull: with at most one in a hundred an end, of which the best trial has
    # to be one itself, some 10 rounds at most; without that rule the ends of `layers` alone would do so in a fifth.
    random, pulled = np.random.default_rng(0), 0
    for _ in range(400):
        found = [
            trial(
                n, float(random.random()), rate=10 ** random.uniform(-4, -2), share=random.uniform(0, 0.8),
                layers=int(random.integers(1, 6)), passes=int(random.integers(1, 3)),
                gamma=10 ** random.uniform(-3, -1),
            )
            for n in range(40)
        ]  # fmt: skip
        pulled += bool(pulls(found, SPACE))
    assert pulled <= 400 * 8 * CHANCE


def test_of_few_values_all_have_to_lie_there_and_of_two_none_pulls() -> None:
    last, inside = {"layers": 5, "passes": 2}, {"layers": 4, "passes": 2}
    assert pulls(led_by(last, last, last, inside), SPACE) == []
    assert pulls(led_by(last, last, last, last), SPACE) == [Pull("layers", "larger", 4, FEW, 7)]


def test_of_eight_values_three_at_the_last_pull_and_of_seven_they_do_not() -> None:
    """By the binomial law 0.7 and 1.0 % of cases; a planted bug in it lived where a share is near neither bound."""
    seven, eight = (with_range(SPACE, "layers", (None, most), wider=True) for most in (7, 8))
    inside = {"layers": 4}
    assert pulls(led_by(*[{"layers": 7}] * 3, inside), seven) == []
    (pull,) = pulls(led_by(*[{"layers": 8}] * 3, inside), eight)
    assert (pull.field, pull.direction, pull.at_edge) == ("layers", "larger", 3)


def test_too_early_nothing_pulls() -> None:
    edge = [{"rate": 9e-3}] * 4
    assert pulls(led_by(*edge, others=STARTUP_TRIALS - 5), SPACE) == []
    assert pulls(led_by(*edge, others=STARTUP_TRIALS - 4), SPACE) != []
    running = [trial(number, 0.1, Status.RUNNING) for number in range(STARTUP_TRIALS)]
    assert pulls([*running, *led_by(*edge, others=0)], SPACE) == [], "of trials that run nothing is known yet"


def test_what_the_start_put_there_does_not_count() -> None:
    # A search whose space ends at the published value tries that in half of its first trials.
    ends_there = with_range(SPACE, "share", (None, 0.5), wider=False)
    kept = [{"share": 0.5}] * 4
    assert pulls(led_by(*kept, first=2), ends_there) == []
    assert pulls(led_by(*kept), ends_there) == [Pull("share", "larger", 4, FEW, 0.9)], "drawn, it does"
    assert pulls(led_by(*[{"share": 0.49}] * 4, first=2), ends_there) != [], "another value does"


def test_the_end_is_as_far_out_as_the_model_takes_it() -> None:
    edge = [{"share": 0.79}] * 4
    assert [pull.end for pull in pulls(led_by(*edge), SPACE)] == [1.2]
    for limit, end in ((1.0, 0.9), (0.95, 0.9), (1.05, 1.0)):
        assert [pull.end for pull in pulls(led_by(*edge), SPACE, shares_below(limit))] == [end]
    assert pulls(led_by(*edge), SPACE, lambda config: config["share"] <= 0.8) == [], (
        "the range ends with the model"
    )
    assert all(pull.end != 0.8 for pull in pulls(led_by(*edge), SPACE))


def test_of_a_branch_those_trials_count_that_chose_it() -> None:
    chosen, other = {"gamma": 0.099}, {"gamma": None, "beta": 0.99}
    assert pulls(led_by(chosen, chosen, chosen, other), SPACE) == [Pull("gamma", "larger", 3, FEW, 1.0)]
    assert pulls(led_by(chosen, chosen, other, other), SPACE) == []


def test_a_widened_range_does_not_pull_again_for_the_same_trials() -> None:
    for config in ({"rate": 1e-2}, {"share": 0.8}, {"layers": 5}):
        records = led_by(*[config] * 4)
        for allows in (None, lambda c: c["share"] < 1 and c["layers"] <= 6 and c["rate"] < 0.03):
            found = pulls(records, SPACE, allows)
            assert found
            space = SPACE
            for pull in found:
                space = with_range(space, pull.field, pull.ends, wider=True)
            assert pulls(records, space, allows) == []


def test_the_rule_is_as_the_docs_have_it() -> None:
    assert (FEW, MOST_OF_THEM, SHARE, CHANCE) == (4, 3, 0.5, 0.01)
    assert math.isclose(4 * 0.05**3 * 0.95 + 0.05**4, 0.00048, rel_tol=0.02), "three of four in a twentieth"


@pytest.mark.parametrize("status", [Status.FAILED, Status.DIVERGED])
def test_trials_without_a_model_do_not_pull(status: Status) -> None:
    records = led_by(*[{"rate": 1e-3}] * 4)
    bad = [trial(20 + n, 0.9, status, rate=9e-3) for n in range(4)]
    assert pulls([*records, *bad], SPACE) == []


def test_each_step_is_half_of_the_width_at_first() -> None:
    space, ends = SPACE, []
    for _ in range(4):
        top = dict(space.parameters["rate"].leaves())["rate"].ends()[1]
        (pull,) = pulls(led_by(*[{"rate": top}] * 4), space)
        ends.append(pull.end)
        space = with_range(space, "rate", pull.ends, wider=True)
    assert ends == [0.1, 1.0, 10.0, 100.0], "and not 0.1, 3.16, 562, 1330000"
