"""Non-negative elastic nets: scikit-learn's, and what any solution must fulfil."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import ElasticNet

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.active_sets import Solved
from tests.kernels.random_users import random_users


def as_matrix(solved: Solved, n_items: int) -> torch.Tensor:
    weight = torch.zeros(n_items, n_items, dtype=solved.values.dtype)
    weight[solved.features.long(), solved.items.long()] = solved.values
    return weight


def scikit_learns(x: npt.NDArray[np.float64], l1: float, l2: float) -> npt.NDArray[np.float64]:
    """Return scikit-learn's weights of each item, column by column."""
    # scikit-learn divides the squared error by the number of users, and so must the penalties be.
    oracle = ElasticNet(
        alpha=(l1 + l2) / len(x),
        l1_ratio=l1 / (l1 + l2),
        positive=True,
        fit_intercept=False,
        tol=1e-12,
        max_iter=100_000,
    )
    weight = np.zeros((x.shape[1], x.shape[1]))
    for j in range(x.shape[1]):
        others = x.copy()
        others[:, j] = 0
        weight[:, j] = oracle.fit(others, x[:, j]).coef_
    return weight


def assert_minimum(weight: torch.Tensor, gram: torch.Tensor, l1: float, l2: float) -> None:
    gradient = gram @ weight - gram + l2 * weight + l1
    gradient.fill_diagonal_(0.0)
    assert not weight.diagonal().any()
    assert (weight >= 0).all()
    assert (weight > 0).any()
    assert gradient[weight > 0].abs().max() < 1e-5, "a positive weight has no slope"
    assert gradient.min() > -1e-5, "a zero weight does not want to grow"


def twins() -> InteractionMatrix:
    """Return users who have either both or none of items 2 k and 2 k + 1.

    Without l2 the weights of a pair are not unique, and no factorization exists.
    """
    train = random_users(n_users=200, n_items=20)
    return InteractionMatrix.from_pairs(
        np.repeat(np.arange(200), 2 * train.counts()),
        np.stack([2 * train.indices, 2 * train.indices + 1], axis=1).ravel(),
        n_users=200,
        n_items=40,
    )
