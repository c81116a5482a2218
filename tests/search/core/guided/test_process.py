"""The process against scikit-learn's and against the formula written out, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern

from distrecvae.search.core.guided.process import (
    Process,
    Strengths,
    believed,
    fit,
    matern,
    strengths_of,
    unlikeliness,
)

RANDOM = np.random.default_rng(4)
X = np.column_stack([RANDOM.random((24, 3)), np.tile([0.0, -0.4], 12)])
TRIALS = np.repeat(np.arange(12), 2)
Y = np.sin(4 * X[:, 0]) + X[:, 1] + 0.8 * X[:, 3]
AT = np.column_stack([RANDOM.random((7, 3)), np.linspace(-0.6, 0, 7)])


def test_without_luck_and_slope_it_is_scikit_learns() -> None:
    strengths = Strengths(np.array([0.5, 0.7, 3.0, 0.9]), 1.3, 0.02, 0.0, 0.0)
    mean, spread = Process(strengths, X, TRIALS, Y).at(AT)
    kernel = ConstantKernel(1.3) * Matern(strengths.lengths, nu=2.5)
    other = GaussianProcessRegressor(kernel, alpha=0.02, optimizer=None).fit(X, Y)
    expected, deviation = other.predict(AT, return_std=True)
    # Both are float64; the covariance's condition is some 1e3, so that ten digits agree.
    assert mean == pytest.approx(expected, rel=1e-9, abs=1e-10)
    assert spread == pytest.approx(deviation, rel=1e-8)


def test_with_luck_and_slope_it_is_the_formula() -> None:
    strengths = Strengths(np.array([0.5, 0.7, 3.0, 0.9]), 1.3, 0.02, 0.6, 0.1)

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        found = np.empty((len(a), len(b)))
        for i, left in enumerate(a):
            for j, right in enumerate(b):
                r = np.sqrt(5 * np.sum(((left - right) / strengths.lengths) ** 2))
                found[i, j] = 1.3 * (1 + r + r**2 / 3) * np.exp(-r) + 0.6 * left[3] * right[3]
        return found

    seen = covariance(X, X) + 0.1 * np.equal.outer(TRIALS, TRIALS) + 0.02 * np.eye(len(X))
    cross = covariance(AT, X)
    mean, spread = Process(strengths, X, TRIALS, Y).at(AT)
    assert mean == pytest.approx(cross @ np.linalg.solve(seen, Y), rel=1e-9, abs=1e-10)
    left = np.diag(covariance(AT, AT) - cross @ np.linalg.solve(seen, cross.T))
    assert spread == pytest.approx(np.sqrt(left), rel=1e-8)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    apart = ((X[:, None] - X[None]) ** 2).reshape(-1, 4)
    rest = (apart, np.outer(X[:, 3], X[:, 3]), np.equal.outer(TRIALS, TRIALS).astype(float), Y)

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
    apart = ((X[:, None] - X[None]) ** 2).reshape(-1, 4)
    rest = (apart, np.outer(X[:, 3], X[:, 3]), np.equal.outer(TRIALS, TRIALS).astype(float), y)
    process = fit(X, TRIALS, y)
    before = Process(strengths_of(believed(4)), X, TRIALS, y)
    whole = np.column_stack([np.random.default_rng(5).random((200, 3)), np.zeros(200)])
    truth = (np.sin(4 * whole[:, 0]) + whole[:, 1] - Y.mean()) / Y.std()
    off, off_before = (np.sqrt(np.mean((p.at(whole)[0] - truth) ** 2)) for p in (process, before))
    assert off < min(0.3, off_before), "of a standard deviation; the mean alone is off by about one"
    assert unlikeliness(believed(4), *rest)[0] > 0


def test_what_it_believes_of_a_trial_under_way_narrows_and_moves_nothing() -> None:
    process = fit(X, TRIALS, (Y - Y.mean()) / Y.std())
    told = process.believing(AT)
    (mean, spread), (mean_told, spread_told) = process.at(AT), told.at(AT)
    assert mean_told == pytest.approx(mean, abs=1e-6)
    assert (spread_told < spread).all()


def test_reports_that_are_all_alike_are_no_trouble() -> None:
    mean, spread = fit(X, TRIALS, np.zeros(len(X))).at(AT)
    assert mean == pytest.approx(0)
    assert np.isfinite(spread).all()
    assert matern(np.zeros(1)) == 1
