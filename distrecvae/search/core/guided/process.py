"""A Gaussian process over configurations and passes: what the reports so far let expect of a whole training.

    report = mean + trust * belief + f(configuration, depth) + slope * depth + luck of the trial + noise of the report

`belief` is what was expected of the configuration before (`belief.py`; 0 where nothing was), and `trust` about 1: the
reports say how much.
`depth` is the logarithm of the passes, 0 for a whole training. f has a Matern 5/2 kernel with a length a feature: a
trial that was stopped early says something of whole ones, and the less, the earlier it was. What two trainings of one
configuration would differ by is `luck`, of which a new trial has its own. The lengths and variances are the most
likely ones under weak beliefs, by L-BFGS on the exact gradient (Rasmussen and Williams, Gaussian Processes for Machine
Learning, chapters 2 and 5).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Array = npt.NDArray[np.float64]

STEPS = 8
"""Of L-BFGS: more change little, and a proposal is to take milliseconds."""
_LENGTH = float(np.log(1.5))
"""A length is believed to be about exp of this, in units of a range."""
_REST = np.array([0.0, np.log(0.05), 0.0, np.log(0.05)])
"""Logarithms of the other variances as they are believed to be, in units of the values' own: f, noise, slope, luck."""
_SPREAD = np.array([1.0, 1.5, 1.0, 1.5])
ODDS = 1.0
"""A belief is dropped where the reports are likelier by exp of this without it."""
TRUST = (1.0, 0.5)
"""How much a belief counts, before anything was seen: mean and standard deviation."""
_BOUNDS = ((-3.0, 3.0), (-7.0, 0.7), (-4.0, 4.0), (-7.0, 0.7))


@dataclass(frozen=True)
class Strengths:
    """What the process is made of.

    Attributes:
        lengths: one a feature.
        signal: variance of f.
        noise: of a report.
        slope: variance of the slope.
        luck: of a trial.
    """

    lengths: Array
    signal: float
    noise: float
    slope: float
    luck: float

    def between(self, a: Array, b: Array) -> Array:
        """Return the covariance of the truth at the rows of `a` and of `b`; the last features: belief and depth."""
        covariance: Array = self.signal * matern(_squares(_placed(a), _placed(b), self.lengths))
        return covariance + self.slope * np.outer(a[:, -1], b[:, -1]) + _trusted(a[:, -2], b[:, -2])


class Process:
    """The process given reports.

    Args:
        strengths: as `fit` finds them.
        x: (n, features) of the reports, belief and depth last.
        trials: (n,) whose each report is, by number.
        y: (n,) their values.
    """

    def __init__(self, strengths: Strengths, x: Array, trials: npt.NDArray[np.int64], y: Array) -> None:
        self._strengths, self._x, self._trials, self._y = strengths, x, trials, y
        covariance = strengths.between(x, x) + strengths.luck * (trials[:, None] == trials)
        covariance[np.diag_indices(len(x))] += strengths.noise
        self._factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        self._weights = linalg.cho_solve((self._factor, True), y - TRUST[0] * x[:, -2], check_finite=False)

    @property
    def believes(self) -> bool:
        """Whether it counts on what was expected before."""
        return bool(self._x[:, -2].any())

    def at(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the truth, luck and noise apart, at the rows of `x`."""
        return self._given(x, 0.0, 0.0)

    def ends(self, whole: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the trials' own ends, luck included.

        Args:
            whole: (n, features) a row for each trial, by number, as a whole training.
        """
        luck = self._strengths.luck
        return self._given(whole, luck * (np.arange(len(whole))[:, None] == self._trials), luck)

    def _given(self, x: Array, shared: Array | float, own: float) -> tuple[Array, Array]:
        """Return mean and deviation at `x` of the truth with what is added: `shared` with reports, and of its `own`."""
        strengths = self._strengths
        cross = strengths.between(x, self._x) + shared
        half = linalg.solve_triangular(self._factor, cross.T, lower=True, check_finite=False)
        before = strengths.signal + strengths.slope * x[:, -1] ** 2 + (TRUST[1] * x[:, -2]) ** 2 + own
        return cross @ self._weights + TRUST[0] * x[:, -2], np.sqrt(
            np.maximum(before - (half**2).sum(axis=0), 1e-12)
        )

    def believing(self, x: Array) -> Process:
        """Return the process that was told, too, of trials at the rows of `x` what it expects of them."""
        return Process(
            self._strengths,
            np.vstack([self._x, x]),
            np.concatenate([self._trials, -1 - np.arange(len(x))]),
            np.concatenate([self._y, self.at(x)[0]]),
        )


def fit(x: Array, trials: npt.NDArray[np.int64], y: Array) -> Process:
    """Return the process of most likely strengths given reports; `y` has mean 0 and standard deviation 1, or is 0.

    What was expected is left out, its feature 0, where the reports speak against it (`ODDS`).
    """
    strengths, cost = _likeliest(x, trials, y)
    if x[:, -2].any():
        plain = x.copy()
        plain[:, -2] = 0.0
        others, without = _likeliest(plain, trials, y)
        if without + ODDS < cost:
            return Process(others, plain, trials, y)
    return Process(strengths, x, trials, y)


def _likeliest(x: Array, trials: npt.NDArray[np.int64], y: Array) -> tuple[Strengths, float]:
    """Return the most likely strengths, and their `unlikeliness`."""
    placed, expected = _placed(x), x[:, -2]
    n, n_features = placed.shape
    apart = ((placed[:, None, :] - placed[None, :, :]) ** 2).reshape(n * n, n_features)
    deep, same = np.outer(x[:, -1], x[:, -1]), (trials[:, None] == trials).astype(np.float64)
    known = (apart, deep, same, y - TRUST[0] * expected, _trusted(expected, expected))
    found = optimize.minimize(
        unlikeliness, believed(n_features), args=known, jac=True, method="L-BFGS-B",
        bounds=[(-2.5, 4.0)] * n_features + list(_BOUNDS), options={"maxiter": STEPS},
    )  # fmt: skip
    return strengths_of(found.x), float(found.fun)


def believed(n_features: int) -> Array:
    """Return the logarithms of the strengths before anything was seen."""
    return np.concatenate([np.full(n_features, _LENGTH), _REST])


def strengths_of(theta: Array) -> Strengths:
    """Return the strengths of these logarithms."""
    signal, noise, slope, luck = (float(value) for value in np.exp(theta[-4:]))
    return Strengths(np.exp(theta[:-4]), signal, noise, slope, luck)


def unlikeliness(
    theta: Array, apart: Array, deep: Array, same: Array, y: Array, trusted: Array | float = 0.0
) -> tuple[float, Array]:
    """Return the negative log posterior of the strengths' logarithms, up to a constant, and its gradient.

    Args:
        theta: the logarithms.
        apart: (n * n, features) squared differences between reports.
        deep: (n, n) products of their depths.
        same: (n, n) 1 where two are of one trial.
        y: (n,) their values.
        trusted: (n, n) covariance that does not depend on the strengths.
    """
    n, strengths = len(y), strengths_of(theta)
    r = np.sqrt(5 * (apart @ strengths.lengths**-2.0).reshape(n, n))
    decay = np.exp(-r)
    signal = strengths.signal * (1 + r + r**2 / 3) * decay
    covariance = signal + strengths.slope * deep + strengths.luck * same + trusted
    covariance[np.diag_indices(n)] += strengths.noise
    try:
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    weights = linalg.cho_solve((factor, True), y, check_finite=False)
    inverse = linalg.cho_solve((factor, True), np.eye(n), check_finite=False)
    inner = np.outer(weights, weights) - inverse
    # d signal / d log length = signal variance * 5/3 (1 + r) exp(-r) * squared difference / length^2
    by_distance = inner * (strengths.signal * 5 / 3 * (1 + r) * decay)
    parts = (
        (inner * signal).sum(),
        strengths.noise * np.trace(inner),
        strengths.slope * (inner * deep).sum(),
        strengths.luck * (inner * same).sum(),
    )
    gradient = -0.5 * np.concatenate([(by_distance.ravel() @ apart) * strengths.lengths**-2.0, parts])
    cost = 0.5 * float(y @ weights) + float(np.log(np.diag(factor)).sum())
    n_features = apart.shape[1]
    spread = np.concatenate([np.ones(n_features), _SPREAD])
    off = (theta - believed(n_features)) / spread
    return cost + 0.5 * float(off @ off), gradient + off / spread


def matern(squares: Array) -> Array:
    """Return the Matern 5/2 correlation at squared distances."""
    r = np.sqrt(5 * squares)
    correlation: Array = (1 + r + r**2 / 3) * np.exp(-r)
    return correlation


def _placed(x: Array) -> Array:
    """Return the features between which there are distances: all but the belief."""
    found: Array = np.delete(x, -2, axis=1)
    return found


def _trusted(a: Array, b: Array) -> Array:
    """Return the covariance of what a belief adds."""
    covariance: Array = TRUST[1] ** 2 * np.outer(a, b)
    return covariance


def _squares(a: Array, b: Array, lengths: Array) -> Array:
    a, b = a / lengths, b / lengths
    squares: Array = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0.0)
