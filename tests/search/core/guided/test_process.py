"""The process against scikit-learn's and against the formula written out, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from distrecvae.search.core.guided.process import (
    TRUST,
    Process,
    Strengths,
    believed,
    fit,
    matern,
    strengths_of,
    unlikeliness,
)

RANDOM = np.random.default_rng(4)
PLACES = np.column_stack([RANDOM.random((24, 3)), np.tile([0.0, -0.4], 12)])
TRIALS = np.repeat(np.arange(12), 2)
Y = np.sin(4 * PLACES[:, 0]) + PLACES[:, 1] + 0.8 * PLACES[:, 3]


def with_belief(places: np.ndarray, expected: np.ndarray | float = 0.0) -> np.ndarray:
    """Return rows as the process takes them: what was expected stands before the depth."""
    return np.insert(places, 3, expected, axis=1)


X = with_belief(PLACES)
AT_PLACES = np.column_stack([RANDOM.random((7, 3)), np.linspace(-0.6, 0, 7)])
AT = with_belief(AT_PLACES)
EXPECTED, EXPECTED_AT = RANDOM.standard_normal(24), RANDOM.standard_normal(7)


def test_without_luck_and_slope_it_is_scikit_learns() -> None:
    strengths = Strengths(np.array([0.5, 0.7, 3.0, 0.9]), 1.3, 0.02, 0.0, 0.0)
    mean, spread = Process(strengths, X, TRIALS, Y).at(AT)
    kernel = ConstantKernel(1.3) * Matern(strengths.lengths, nu=2.5)
    other = GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None).fit(PLACES, Y)
    expected, deviation = other.predict(AT_PLACES, return_std=True)
    # Both are float64; the covariance's condition is some 1e3, so that ten digits agree.
    assert mean == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert spread == pytest.approx(deviation, rel=1e-8)


@pytest.mark.parametrize(
    ("expected", "expected_at"), [(np.zeros(24), np.zeros(7)), (EXPECTED, EXPECTED_AT)], ids=["", "believing"]
)
def test_with_luck_and_slope_it_is_the_formula(expected: np.ndarray, expected_at: np.ndarray) -> None:
    strengths = Strengths(np.array([0.5, 0.7, 3.0, 0.9]), 1.3, 0.02, 0.6, 0.1)

    mean_trust, trust = TRUST

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found = np.empty((len(a), len(b)))
        for i, left in enumerate(a):
            for j, right in enumerate(b):
                near = np.delete(left - right, 3) / strengths.lengths
                r = np.sqrt(5 * np.sum(near**2))
                found[i, j] = 1.3 * (1 + r + r**2 / 3) * np.exp(-r) + 0.6 * left[4] * right[4]
                found[i, j] += trust**2 * left[3] * right[3]
        return found

    x, at = with_belief(PLACES, expected), with_belief(AT_PLACES, expected_at)
    seen = covariance(x, x) + 0.1 * np.equal.outer(TRIALS, TRIALS) + 0.02 * np.eye(len(x))
    cross = covariance(at, x)
    mean, spread = Process(strengths, x, TRIALS, Y).at(at)
    formula = mean_trust * expected_at + cross @ np.linalg.solve(seen, Y - mean_trust * expected)
    assert mean == pytest.approx(formula, rel=1e-9, abs=1e-10)
    left = np.diag(covariance(at, at) - cross @ np.linalg.solve(seen, cross.T))
    assert spread == pytest.approx(np.sqrt(left), rel=1e-8)


def test_a_trials_own_end_shares_the_luck_of_its_own_reports() -> None:
    """Of two trials that are alike in all but their reports, the one that reported more ends higher; of a third, which
    has no reports, no luck is known: its end is as uncertain as luck is beside what is known of the truth."""
    strengths = Strengths(np.array([0.5, 0.7, 3.0, 0.9]), 1.3, 0.02, 0.6, 0.3)
    whole = with_belief(np.column_stack([np.full((3, 3), 0.5), np.zeros(3)]))
    early = with_belief(np.column_stack([np.full((2, 3), 0.5), np.full(2, -0.4)]))
    process = Process(strengths, early, np.array([0, 1]), np.array([0.5, -0.5]))
    (mean, spread), (truth, of_truth) = process.ends(whole), process.at(whole)
    assert mean[0] > truth[0] > mean[1]
    assert mean[2] == pytest.approx(truth[2])
    assert spread[2] ** 2 == pytest.approx(of_truth[2] ** 2 + 0.3)
    assert spread[0] < spread[2]


def test_the_gradient_is_that_of_the_likelihood() -> None:
    apart = ((PLACES[:, None] - PLACES[None]) ** 2).reshape(-1, 4)
    rest = (apart, np.outer(PLACES[:, 3], PLACES[:, 3]), np.equal.outer(TRIALS, TRIALS).astype(float), Y)

    def cost(theta: np.ndarray) -> float:
        return unlikeliness(theta, *rest)[0]

    def slope(theta: np.ndarray) -> np.ndarray:
        return unlikeliness(theta, *rest)[1]

    for theta in (believed(4), believed(4) + 0.5 * np.random.default_rng(1).standard_normal(8)):
        scale = np.abs(unlikeliness(theta, *rest)[1]).max()
        off = check_grad(cost, slope, theta)
        assert off < 1e-5 * scale, "finite differences of float64 are good to five digits or more"


def test_fitting_makes_what_was_seen_likelier_and_foretells_it() -> None:
    y = (Y - Y.mean()) / Y.std()
    apart = ((PLACES[:, None] - PLACES[None]) ** 2).reshape(-1, 4)
    rest = (apart, np.outer(PLACES[:, 3], PLACES[:, 3]), np.equal.outer(TRIALS, TRIALS).astype(float), y)
    process = fit(X, TRIALS, y)
    before = Process(strengths_of(believed(4)), X, TRIALS, y)
    whole = np.column_stack([np.random.default_rng(5).random((200, 3)), np.zeros((200, 2))])
    truth = (np.sin(4 * whole[:, 0]) + whole[:, 1] - Y.mean()) / Y.std()
    off, off_before = (np.sqrt(np.mean((p.at(whole)[0] - truth) ** 2)) for p in (process, before))
    assert off < min(0.3, off_before), "of a standard deviation; the mean alone is off by about one"
    assert unlikeliness(believed(4), *rest)[0] > 0


def test_how_steep_the_curves_are_is_learnt_from_them() -> None:
    """Of curves that are level a whole training is known after its first report; of steep ones it is not."""
    level, steep = (np.sin(4 * PLACES[:, 0]) + slope * PLACES[:, 3] for slope in (0.0, 8.0))
    of_level, of_steep = (fit(X, TRIALS, (y - y.mean()) / y.std()) for y in (level, steep))
    assert of_level._strengths.slope < 1 < of_steep._strengths.slope, "1 is what is believed before"


def test_what_it_believes_of_a_trial_under_way_narrows_and_moves_nothing() -> None:
    process = fit(X, TRIALS, (Y - Y.mean()) / Y.std())
    told = process.believing(AT)
    (mean, spread), (mean_told, spread_told) = process.at(AT), told.at(AT)
    assert mean_told == pytest.approx(mean, abs=1e-6)
    assert (spread_told < spread).all()


def test_a_belief_that_the_reports_bear_out_is_kept_and_helps() -> None:
    y = (Y - Y.mean()) / Y.std()
    right = (np.sin(4 * PLACES[:, 0]) + PLACES[:, 1] - Y.mean()) / Y.std()
    told, plain = fit(with_belief(PLACES, right)[:8], TRIALS[:8], y[:8]), fit(X[:8], TRIALS[:8], y[:8])
    whole = np.column_stack([np.random.default_rng(5).random((200, 3)), np.zeros(200)])
    truth = (np.sin(4 * whole[:, 0]) + whole[:, 1] - Y.mean()) / Y.std()
    off = np.sqrt(np.mean((told.at(with_belief(whole, truth))[0] - truth) ** 2))
    assert told.believes
    assert off < 0.5 * np.sqrt(np.mean((plain.at(with_belief(whole))[0] - truth) ** 2))


def test_a_belief_that_the_reports_speak_against_is_dropped() -> None:
    y = (Y - Y.mean()) / Y.std()
    of_nothing = np.repeat(np.random.default_rng(6).standard_normal(12), 2)
    wrong, plain = fit(with_belief(PLACES, of_nothing), TRIALS, y), fit(X, TRIALS, y)
    assert not wrong.believes
    np.testing.assert_array_equal(wrong.at(AT), plain.at(AT))


def test_a_belief_that_the_reports_say_nothing_of_is_kept() -> None:
    """They are as likely with it as without: it goes where they are likelier without, and by a margin."""
    next_to_nothing = 1e-3 * np.repeat(np.random.default_rng(6).standard_normal(12), 2)
    assert fit(with_belief(PLACES, next_to_nothing), TRIALS, (Y - Y.mean()) / Y.std()).believes


def test_reports_that_are_all_alike_are_no_trouble() -> None:
    mean, spread = fit(X, TRIALS, np.zeros(len(X))).at(AT)
    assert mean == pytest.approx(0)
    assert np.isfinite(spread).all()
    assert matern(np.zeros(1)) == 1
