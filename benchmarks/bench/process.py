"""A Gaussian process over configurations and passes: what the trials so far let expect of another one.

The kernel is a Matern 5/2 over the configuration and the logarithm of the passes with a length scale a feature: a trial
that was stopped early says something of whole ones, and the less, the earlier it was. Hyperparameters are the most
likely ones under weak beliefs (L-BFGS on the exact gradient); Rasmussen and Williams, Gaussian Processes for Machine
Learning, chapters 2 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize

Array = npt.NDArray[np.float64]

MAX_STEPS = 8
_USUAL = np.log(1.5)
"""The logarithm of a length scale is believed to be about this, in units of a range, give or take one."""


@dataclass(frozen=True)
class Process:
    """A Gaussian process given what was seen.

    Attributes:
        x: (n, features) where something was seen.
        scales: a length a feature.
        variance: of the values far from anything seen.
        noise: variance of what was seen about the truth.
        mean: of the values far from anything seen.
        factor: Cholesky factor of the covariance of what was seen.
        weights: its inverse times what was seen, less the mean.
    """

    x: Array
    scales: Array
    variance: float
    noise: float
    mean: float
    factor: Array
    weights: Array

    def at(self, x: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation of the truth at the rows of `x`."""
        cross = self.variance * _matern(_distances(x, self.x, self.scales))
        mean: Array = self.mean + cross @ self.weights
        half = linalg.solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        left = np.maximum(self.variance - (half**2).sum(axis=0), 1e-12)
        return mean, np.sqrt(left)

    def given(self, x: Array, y: Array) -> Process:
        """Return the process of the same hyperparameters given what was seen at other places."""
        covariance = self.variance * _matern(_distances(x, x, self.scales)) + self.noise * np.eye(len(x))
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        weights = linalg.cho_solve((factor, True), y - self.mean, check_finite=False)
        return Process(x, self.scales, self.variance, self.noise, self.mean, factor, weights)


def fit_process(x: Array, y: Array, *, noise: float | None = None) -> Process:
    """Return the process of most likely hyperparameters for what was seen.

    Args:
        x: (n, features).
        y: (n,) what was seen there.
        noise: variance of it about the truth, in units of the variance of `y`, to begin with.
    """
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    z = (y - mean) / spread
    n_features = x.shape[1]
    start = np.concatenate([np.full(n_features, _USUAL), [0.0, np.log(noise or 0.05)]])
    squares = (x[:, None, :] - x[None, :, :]) ** 2
    found = optimize.minimize(
        _cost, start, args=(squares, z), jac=True, method="L-BFGS-B",
        bounds=[(-2.5, 4.0)] * n_features + [(-3.0, 3.0), (-7.0, 0.7)], options={"maxiter": MAX_STEPS},
    )  # fmt: skip
    scales, variance, left = np.exp(found.x[:-2]), float(np.exp(found.x[-2])), float(np.exp(found.x[-1]))
    nothing = np.zeros((0, 0))
    return Process(x, scales, variance * spread**2, left * spread**2, mean, nothing, nothing).given(x, y)


def _matern(squares: Array) -> Array:
    r = np.sqrt(5 * squares)
    kernel: Array = (1 + r + r**2 / 3) * np.exp(-r)
    return kernel


def _distances(a: Array, b: Array, scales: Array) -> Array:
    a, b = a / scales, b / scales
    squares: Array = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.maximum(squares, 0.0)


def _cost(theta: Array, squares: Array, z: Array) -> tuple[float, Array]:
    """Return the negative log posterior of the hyperparameters' logarithms, and its gradient."""
    scales, variance, noise = np.exp(theta[:-2]), np.exp(theta[-2]), np.exp(theta[-1])
    scaled = squares / scales**2
    r = np.sqrt(5 * scaled.sum(axis=2))
    decay = np.exp(-r)
    kernel = variance * (1 + r + r**2 / 3) * decay
    n = len(z)
    try:
        factor = linalg.cho_factor(kernel + (noise + 1e-9) * np.eye(n), lower=True, check_finite=False)
    except linalg.LinAlgError:
        return 1e10, np.zeros_like(theta)
    weights = linalg.cho_solve(factor, z, check_finite=False)
    inverse = linalg.cho_solve(factor, np.eye(n), check_finite=False)
    inner = np.outer(weights, weights) - inverse
    # d kernel / d log scale = variance * 5/3 (1 + r) exp(-r) * scaled distance of the feature
    by_distance = inner * (variance * 5 / 3 * (1 + r) * decay)
    gradient = np.concatenate(
        [
            -0.5 * np.einsum("ij,ijk->k", by_distance, scaled),
            [-0.5 * float((inner * kernel).sum()), -0.5 * noise * float(np.trace(inner))],
        ]
    )
    cost = 0.5 * float(z @ weights) + float(np.log(np.diag(factor[0])).sum())
    belief = theta - np.concatenate([np.full(len(theta) - 2, _USUAL), [0.0, np.log(0.05)]])
    spread = np.concatenate([np.full(len(theta) - 2, 1.0), [1.0, 1.5]])
    return cost + 0.5 * float(((belief / spread) ** 2).sum()), gradient + belief / spread**2
