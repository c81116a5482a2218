"""EASE: the closed form, against NumPy's inverse in float64 and against the problem that it solves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.models.ease import EASEConfig, solve_ease
from tests.kernels.random_users import dense, random_users


@pytest.mark.parametrize("regularization", [0.5, 20.0, 3000.0])
def test_weights_are_those_of_the_closed_form(regularization: float) -> None:
    train = random_users(n_users=300, n_items=70)
    x = dense(train)
    p = np.linalg.inv(x.T @ x + regularization * np.eye(70))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0.0)
    weight = solve_ease(EASEConfig(regularization=regularization), train)["weight"]
    assert weight.dtype == torch.float32
    assert weight.is_contiguous()
    np.testing.assert_allclose(weight.numpy(), b, rtol=0, atol=1e-6)
    assert not weight.diagonal().any()


def test_weights_minimize_the_papers_loss() -> None:
    train = random_users(n_users=200, n_items=30)
    x, regularization = dense(train), 10.0
    b = solve_ease(EASEConfig(regularization=regularization), train)["weight"].double().numpy()
    # The gradient vanishes everywhere but on the diagonal, where the constraint holds it.
    gradient = x.T @ (x @ b - x) + regularization * b
    np.testing.assert_allclose(gradient - np.diag(np.diag(gradient)), 0, atol=1e-3)


def test_items_of_nobody_score_nothing() -> None:
    train = InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 1], n_users=2, n_items=4)
    weight = solve_ease(EASEConfig(), train)["weight"]
    assert not weight[2:].any()
    assert not weight[:, 2:].any()


def test_a_long_solution_tells_how_far_it_is() -> None:
    # On 15,000 items a search said "0 of 8 trials ended, 1 running" for minutes.
    told: list[float] = []
    solve_ease(EASEConfig(), random_users(n_users=300, n_items=600), progress=told.append)
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_too_little_regularization_is_said() -> None:
    twins = InteractionMatrix.from_pairs([0, 0], [0, 1], n_users=1, n_items=2)
    with pytest.raises(DivergedError, match="singular in float64; raise regularization"):
        solve_ease(EASEConfig(regularization=1e-300), twins)


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="regularization is 0; it must be a finite number above 0"):
        EASEConfig(regularization=0)
