from __future__ import annotations

import math

import numpy as np
import optuna
import pytest
from scipy import integrate, stats

from distrecvae.search.core.guided.belief import Belief
from distrecvae.search.core.guided.cube import Cube
from distrecvae.search.core.guided.guide import (
    Guide,
    Known,
    drawn_around,
    log_expected_improvement,
    told,
)
from tests.search.core.suggested import suggest

LINE = Cube({"x": optuna.distributions.FloatDistribution(0, 1)})


def curve(best: float, passes: int = 27) -> list[tuple[int, float]]:
    return [(p, best * (1 - math.exp(-p / 8))) for p in range(3, passes + 1, 3)]


def known(number: int, x: float, passes: int = 27, *, ended: bool = True) -> Known:
    return Known(number, np.array([x]), curve(1 - abs(x - 0.7), passes), 1.0, ended)


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


def test_what_a_running_trial_is_expected_to_reach_is_to_be_improved_on() -> None:
    trials = [known(i, x) for i, x in enumerate((0.1, 0.2, 0.3, 0.4))]
    stopped = Guide([*trials, known(4, 0.7, 9)], [], LINE, 27)
    running = Guide([*trials, known(4, 0.7, 9, ended=False)], [], LINE, 27)
    assert running.best > stopped.best
    assert running.ends()[0][4] == pytest.approx(running.best)
    assert stopped.ends()[0][4] == pytest.approx(running.best), "what is expected of it is the same"


def test_a_stopped_trials_end_is_told_from_its_own_reports() -> None:
    """Two trainings of one configuration differ by luck: which of them goes on matters."""
    trials = [known(i, x) for i, x in enumerate((0.1, 0.3, 0.5, 0.9))]
    lucky = Known(4, np.array([0.7]), curve(1.05, 9), 1.0)
    unlucky = Known(5, np.array([0.7]), curve(0.9, 9), 1.0)
    ends, spreads = Guide([*trials, lucky, unlucky], [], LINE, 27).ends()
    assert ends[4] > ends[5]
    assert (spreads > 0).all()
    assert spreads[4] > spreads[0], "its end is still to come"


def test_a_whole_training_is_as_long_as_it_is_said_to_be() -> None:
    """Before any trial is trained whole, the longest report so far is not the end."""
    early = [known(i, x, 3) for i, x in enumerate((0.1, 0.3, 0.5, 0.7))]
    assert Guide(early, [], LINE, 27).whole[0][-1] == 0
    spreads = [Guide(early, [], LINE, most).ends()[1][0] for most in (3, 27)]
    assert spreads[1] > spreads[0]


@pytest.mark.parametrize(("likely", "kept"), [(0.7, True), (0.0, False)])
def test_what_is_expected_of_a_point_counts_until_the_reports_speak_against_it(
    likely: float, kept: bool
) -> None:
    """The trials are best at 0.7: who expects that is borne out, and who expects 0 is not asked any more."""
    trials = [known(i, x) for i, x in enumerate(np.linspace(0.02, 0.98, 30))]
    belief = Belief({"x": (likely, 0.2)}, LINE)
    guide, plain = (Guide(trials, [], LINE, 27, each) for each in (belief, None))
    assert guide.told.believes is kept
    assert bool(guide.whole[:, -2].any()) is kept, "what is asked of it is asked in the same terms"
    points = np.linspace(0, 1, 21)[:, None]
    assert np.array_equal(guide.worth(points), plain.worth(points)) is not kept
