from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from scipy import integrate, stats

from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.guided.sampler import (
    FIRST,
    GuidedSampler,
    curve_of,
    drawn_around,
    log_expected_improvement,
    told,
)
from distrecvae.search.core.study import SECONDS_KEY
from tests.search.core.suggested import suggest


def quality(point: dict[str, Any]) -> float:
    """Best, at 1, for x = 0.8, rate = 0.01 and the branch gamma."""
    off = abs(float(point["x"]) - 0.8) + abs(math.log10(float(point["rate"])) + 2) / 4
    return 1 - off - (0.2 if point["branch"] == "beta" else 0.0)


def run(study: optuna.Study, n: int, *, sign: float = 1.0, seconds: bool = True) -> list[dict[str, Any]]:
    """Trials of 27 passes that rise to their quality; every second one is stopped at 9."""
    points = []
    for number in range(len(study.trials), n):
        study.sampler = GuidedSampler(1000 + number)
        trial = study.ask()
        points.append(suggest(trial))
        if seconds:
            trial.set_user_attr(SECONDS_KEY, points[-1]["size"] / 100)
        for passes in (3, 9) if number % 2 else (3, 9, 27):
            trial.report(sign * quality(points[-1]) * (1 - math.exp(-passes / 8)), passes)
        study.tell(trial, state=TrialState.PRUNED) if number % 2 else study.tell(
            trial, sign * quality(points[-1])
        )
    return points


@pytest.mark.parametrize(
    ("direction", "sign"), [(StudyDirection.MAXIMIZE, 1.0), (StudyDirection.MINIMIZE, -1.0)]
)
def test_it_finds_what_is_best_in_any_study(direction: StudyDirection, sign: float) -> None:
    points = run(optuna.create_study(direction=direction), 24, sign=sign)
    assert np.mean([quality(p) for p in points[-8:]]) > 0.85, "a random point's is 0.3 on average"


def test_it_prefers_what_is_cheap_where_that_makes_no_other_difference() -> None:
    sizes = {}
    for told_of in (True, False):
        points = run(optuna.create_study(direction="maximize"), 14, seconds=told_of)
        sizes[told_of] = np.mean([point["size"] for point in points[FIRST:]])
    # The mean over the range is 72. Later on, where nothing is left to win, it looks at what it has not seen.
    assert sizes[True] < 40 < sizes[False]


def test_a_proposal_is_a_function_of_the_study_and_the_seed() -> None:
    study = optuna.create_study(direction="maximize")
    run(study, 10)
    asked = []
    for seed in (7, 7, 8):
        again = optuna.create_study(direction="maximize")
        again.add_trials(study.get_trials())
        again.sampler = GuidedSampler(seed)
        asked.append(suggest(again.ask()))
    assert asked[0] == asked[1] != asked[2]


def test_trials_at_the_same_time_differ_and_what_is_under_way_is_not_looked_at() -> None:
    study = optuna.create_study(direction="maximize")
    run(study, 8)
    points = [suggest_next(study) for _ in range(3)]
    assert len({str(point) for point in points}) == 3
    again = optuna.create_study(direction="maximize")
    again.add_trials(study.get_trials()[:8])
    study, again = again, optuna.create_study(direction="maximize")
    again.add_trials(study.get_trials())
    for each, value in ((study, 0.1), (again, 3.0)):
        each.enqueue_trial(points[0])
        trial = each.ask()
        suggest(trial)
        trial.report(value, 9)
    assert suggest_next(study) == suggest_next(again)


def suggest_next(study: optuna.Study) -> dict[str, Any]:
    study.sampler = GuidedSampler(50 + len(study.trials))
    return suggest(study.ask())


def test_before_anything_is_known_it_draws_from_the_whole_space() -> None:
    points = []
    for seed in range(200):
        study = optuna.create_study(direction="maximize", sampler=GuidedSampler(seed))
        points.append(suggest(study.ask()))
    assert stats.kstest([p["x"] for p in points], "uniform").pvalue > 0.001
    assert {p["branch"] for p in points} == {"gamma", "beta"}


def test_a_belief_that_was_wrong_is_forgotten_after_a_few_trials() -> None:
    """Half of the first trials keep half of a start that is as far from the best as can be."""
    study = optuna.create_study(direction="maximize")
    wrong = {"x": 0.0, "rate": 1e-1, "size": 128, "branch": "beta"}
    study.enqueue_trial(wrong)
    study.enqueue_trial({"x": 0.0, "rate": 1e-1})
    study.enqueue_trial({"size": 128, "branch": "beta", "x": 0.0})
    points = run(study, 26)
    assert points[0] == wrong
    assert np.mean([quality(p) for p in points[-8:]]) > 0.85


def test_what_diverged_counts_as_bad_and_what_failed_not_at_all() -> None:
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "x": optuna.distributions.FloatDistribution(0, 1)
    }

    def trial(state: TrialState, value: float | None) -> optuna.trial.FrozenTrial:
        return optuna.trial.create_trial(
            state=state,
            value=value,
            params={"x": 0.5},
            distributions=distributions,
            intermediate_values={4: 0.2, 8: 0.3},
        )

    assert curve_of(trial(TrialState.COMPLETE, 0.3)) == [(4, 0.2), (8, 0.3)]
    assert curve_of(trial(TrialState.COMPLETE, 0.0)) == [(8, 0.0)]
    assert curve_of(trial(TrialState.FAIL, None)) == []
    assert curve_of(trial(TrialState.RUNNING, None)) == []
    assert curve_of(trial(TrialState.PRUNED, None), -1.0) == [(4, -0.2), (8, -0.3)]


def test_a_curve_is_told_by_its_end_and_what_came_before() -> None:
    curve = [(passes, passes / 100) for passes in range(1, 28)]
    assert told(curve) == [(27, 0.27), (9, 0.09), (3, 0.03)]
    assert told(curve[:1]) == [(1, 0.01)]


def test_draws_around_a_point_stay_in_the_cube_and_near() -> None:
    study = optuna.create_study()
    suggest(trial := study.ask())
    cube = Cube(trial.distributions)
    point = np.full(len(cube.names), 0.05)
    drawn = drawn_around(point, np.full(4000, 0.1), cube, np.random.default_rng(0))
    assert ((drawn >= 0) & (drawn <= 1)).all()
    x = drawn[:, cube.names.index("x")]
    assert np.mean(x == 0.05) == pytest.approx(0.5, abs=0.04), "five standard errors of 4,000 draws"
    assert np.abs(x - 0.05).max() < 0.5
    branch = drawn[:, cube.names.index("branch")]
    assert np.mean(branch != 0.05) == pytest.approx(0.1, abs=0.025)


def test_expected_improvement_is_the_integral() -> None:
    for mean, spread, best in ((0.0, 1.0, 0.5), (1.0, 0.3, 0.5), (-1.0, 0.5, 1.5)):
        expected, _ = integrate.quad(
            lambda f, m=mean, s=spread, b=best: (f - b) * stats.norm.pdf(f, m, s), best, mean + 12 * spread
        )
        found = log_expected_improvement(np.array([mean]), np.array([spread]), best)[0]
        assert found == pytest.approx(math.log(expected), abs=1e-5)
    far = log_expected_improvement(np.array([-9.0, -30.0]), np.ones(2), 0.0)
    assert far[0] > far[1] > -math.inf


def test_it_thinks_milliseconds_after_a_hundred_trials() -> None:
    study = optuna.create_study(direction="maximize")
    run(study, FIRST)
    template = study.get_trials()
    study.add_trials([template[k % FIRST] for k in range(100)])
    started = time.process_time()
    suggest_next(study)
    # Some 20 ms; what the bound is to find is a cost that grows with the square of the trials.
    assert time.process_time() - started < 2
