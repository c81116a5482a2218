"""EASE, EDLAE, RDLAE: the closed form, against NumPy's inverse in float64 and against the problem that it solves."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.models import ease
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


def penalty_of_dropout(x: np.ndarray, share: float) -> np.ndarray:
    """Return E[Z^T Z] - X^T X over all ways to hide items of X, Z being what is left, scaled up by 1 / (1 - share)."""
    expected = np.zeros((x.shape[1], x.shape[1]))
    for row in x:
        had = np.flatnonzero(row)
        for kept in product([0.0, 1.0], repeat=had.size):
            z = np.zeros_like(row)
            z[had] = np.array(kept) / (1 - share)
            n_kept = int(sum(kept))
            expected += (1 - share) ** n_kept * share ** (had.size - n_kept) * np.outer(z, z)
    return np.asarray(expected - x.T @ x)


@pytest.mark.parametrize("xi", [0.0, 0.2, 0.42])
@pytest.mark.parametrize("dropout", [0.0, 0.3, 0.7])
def test_weights_minimize_the_expected_loss_under_the_constraint(dropout: float, xi: float) -> None:
    # Every way to hide items is counted out, so nothing is taken from the papers' algebra.
    train = random_users(n_users=40, n_items=8)
    x, regularization = dense(train), 3.0
    penalty = penalty_of_dropout(x, dropout) + regularization * np.eye(8)
    config = EASEConfig(regularization=regularization, dropout=dropout, xi=xi)
    b = solve_ease(config, train)["weight"].double().numpy()
    gradient = x.T @ (x @ b - x) + penalty @ b
    # Float32 weights times counts of some tens: 1e-5. Off the diagonal nothing can be gained.
    np.testing.assert_allclose(gradient - np.diag(np.diag(gradient)), 0, atol=1e-4)
    # On it, the loss would fall only beyond xi, and where the weight stays below there is nothing to gain either.
    own = np.diag(b)
    assert (own <= xi + 1e-7).all()
    held = own >= xi - 1e-7
    assert (np.diag(gradient)[held] < 1e-4).all()
    np.testing.assert_allclose(np.diag(gradient)[~held], 0, atol=1e-4)


def test_some_items_are_held_at_xi_and_others_are_not() -> None:
    # Otherwise the test above would hold one half of its claim over nothing.
    config = EASEConfig(regularization=3.0, dropout=0.3, xi=0.42)
    own = solve_ease(config, random_users(n_users=40, n_items=8))
    held = own["weight"].diagonal() >= 0.42 - 1e-7
    assert held.any()
    assert not held.all()


@pytest.mark.parametrize(("dropout", "xi"), [(0.25, 0.0), (0.0, 0.3), (0.4, 0.4)])
def test_weights_are_those_of_the_papers_closed_form(dropout: float, xi: float) -> None:
    train = random_users(n_users=300, n_items=70)
    x = dense(train)
    own = 20.0 + dropout / (1 - dropout) * np.diag(x.T @ x)
    p = np.linalg.inv(x.T @ x + np.diag(own))
    # Moon et al., equation for RDLAE: mu_j is 0 where the constraint is idle.
    mu = np.where(1 - own * np.diag(p) > xi, (1 - xi) / np.diag(p) - own, 0.0)
    b = np.eye(70) - p @ np.diag(own + mu)
    weight = solve_ease(EASEConfig(regularization=20.0, dropout=dropout, xi=xi), train)["weight"]
    np.testing.assert_allclose(weight.numpy(), b, rtol=0, atol=1e-6)


def test_without_dropout_and_xi_it_is_ease_to_the_bit() -> None:
    train = random_users(n_users=300, n_items=70)
    x = torch.from_numpy(dense(train)).double()
    gram = x.T @ x
    gram.diagonal().add_(20.0)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    expected = inverse.div(-inverse.diagonal().clone()).fill_diagonal_(0.0).float()
    weight = solve_ease(EASEConfig(regularization=20.0, dropout=0.0, xi=0.0), train)["weight"]
    assert torch.equal(weight, expected)


@pytest.mark.parametrize(("dropout", "xi"), [(0.0, 0.0), (0.4, 0.4)])
def test_a_gpus_blocks_of_columns_give_the_same(
    dropout: float, xi: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = random_users(n_users=300, n_items=70)
    config = EASEConfig(regularization=20.0, dropout=dropout, xi=xi)
    x = torch.from_numpy(dense(train)).double()
    gram = x.T @ x
    own = 20.0 + dropout / (1 - dropout) * gram.diagonal().clone()
    gram.diagonal().add_(own)
    monkeypatch.setattr(ease, "BLOCK_ITEMS", 16)  # five blocks, the last one smaller
    weight = ease._weights_by_blocks(torch.linalg.cholesky(gram), own, xi)
    torch.testing.assert_close(weight, solve_ease(config, train)["weight"], rtol=0, atol=1e-6)


def test_items_of_nobody_score_nothing() -> None:
    train = InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 1], n_users=2, n_items=4)
    weight = solve_ease(EASEConfig(), train)["weight"]
    assert not weight[2:].any()
    assert not weight[:, 2:].any()


def test_a_long_solution_tells_how_far_it_is() -> None:
    # On 15,000 items a search said "0 of 8 trials ended, 1 running" for minutes.
    told: list[float] = []
    users = random_users(n_users=300, n_items=600)
    solve_ease(EASEConfig(), users, progress=told.append)
    assert len(told) > 5
    of_gram, told = told[:2], told[2:]  # two blocks of its rows
    assert of_gram == [512 / 600, 1.0]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)


def test_too_little_regularization_is_said() -> None:
    twins = InteractionMatrix.from_pairs([0, 0], [0, 1], n_users=1, n_items=2)
    with pytest.raises(DivergedError, match="singular in float64; raise regularization"):
        solve_ease(EASEConfig(regularization=1e-300), twins)


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="regularization is 0; it must be a finite number above 0"):
        EASEConfig(regularization=0)
    with pytest.raises(ConfigError, match="dropout is 1; it must be a number from 0 to below 1"):
        EASEConfig(dropout=1)
    with pytest.raises(ConfigError, match=r"xi is -0\.1; it must be a number from 0 to below 1"):
        EASEConfig(xi=-0.1)
