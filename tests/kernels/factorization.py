"""Weighted alternating least squares as the papers write it: float64, a row at a time, every cell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]


def ridge_rows(
    x: Float64Array, weights: Float64Array, other: Float64Array, regularization: float
) -> Float64Array:
    """Return each row's factors, (n_rows, latent_dim), given the columns' factors `other`."""
    solved = []
    for row, weight in zip(x, weights, strict=True):
        matrix = other.T @ np.diag(weight) @ other + regularization * np.eye(other.shape[1])
        solved.append(np.linalg.solve(matrix, other.T @ (weight * row)))
    return np.array(solved)


def sweeps(
    x: Float64Array, weights: Float64Array, items: Float64Array, regularization: float, number: int
) -> tuple[Float64Array, Float64Array]:
    """Return users' and items' factors after `number` sweeps from the items' factors `items`."""
    users = np.zeros((len(x), items.shape[1]))
    for _ in range(number):
        users = ridge_rows(x, weights, items, regularization)
        items = ridge_rows(x.T, weights.T, users, regularization)
    return users, items


def loss(
    x: Float64Array, weights: Float64Array, users: Float64Array, items: Float64Array, regularization: float
) -> float:
    """Return the weighted squared error of all cells and the regularization."""
    error = (weights * (x - users @ items.T) ** 2).sum()
    return float(error + regularization * ((users**2).sum() + (items**2).sum()))
