from __future__ import annotations

import math

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from distrecvae.search.core.guided.reviving import worth_reviving
from distrecvae.search.core.guided.sampler import GuidedSampler
from distrecvae.search.core.study import SECONDS_KEY

MOST = 27


def study_of(
    *trials: tuple[float, float, int, TrialState], seconds: tuple[float, ...] | None = None
) -> optuna.Study:
    """Trials of one parameter: x, the score that they rise to, their passes, and how they stand."""
    study = optuna.create_study(direction="maximize")
    for number, (x, best, passes, state) in enumerate(trials):
        curve = {p: best * (1 - math.exp(-p / 8)) for p in range(3, passes + 1, 3)}
        value = None if state == TrialState.RUNNING else curve[passes]
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params={"x": x},
                distributions={"x": FloatDistribution(0, 1)},
                intermediate_values=curve,
                user_attrs={} if seconds is None else {SECONDS_KEY: seconds[number]},
            )
        )
    return study


WHOLE = [(x, 0.5, MOST, TrialState.COMPLETE) for x in (0.1, 0.3, 0.5, 0.9)]
GOOD, BAD = (0.7, 1.0, 9, TrialState.PRUNED), (0.7, 0.3, 9, TrialState.PRUNED)


def revived(study: optuna.Study, *stopped: int) -> int | None:
    return worth_reviving(study, GuidedSampler(1, MOST), len(study.trials), set(stopped), MOST)


def test_a_good_trial_that_was_stopped_early_continues() -> None:
    assert revived(study_of(*WHOLE, GOOD), 4) == 4


def test_a_bad_one_does_not() -> None:
    assert revived(study_of(*WHOLE, BAD), 4) is None


def test_of_two_the_better_one_does() -> None:
    assert revived(study_of(*WHOLE, BAD, GOOD, (0.72, 0.8, 9, TrialState.PRUNED)), 4, 5, 6) == 5


def test_only_what_may_continue_is_asked() -> None:
    """A trial that a person stopped stays stopped."""
    study = study_of(*WHOLE, GOOD)
    assert revived(study) is None
    assert revived(study, 99) is None


def test_before_enough_have_ended_nothing_is_known() -> None:
    assert revived(study_of(*WHOLE[:2], GOOD), 2) is None


@pytest.mark.parametrize("passes", [21, 24])
def test_one_that_is_no_better_than_the_others_continues_where_little_is_left_to_do(passes: int) -> None:
    """A new one would take all of 27 passes, to be expected to bring about as much."""
    study = study_of(*WHOLE, (0.7, 0.5, passes, TrialState.PRUNED))
    for seed in (1, 2, 3):
        assert worth_reviving(study, GuidedSampler(seed, MOST), 5, {4}, MOST) == 4
