"""WMF: alternating least squares against a plain one in float64, and the loss that it lowers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from distrecvae.errors import CheckpointError, ConfigError, DivergedError
from distrecvae.kernels import least_squares
from distrecvae.kernels.least_squares import load_factors, solve_rows, user_side
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.wmf import WMFConfig, weigh_wmf
from distrecvae.training import registry
from distrecvae.training.trainer import Trainer
from tests.kernels.factorization import loss, ridge_rows, sweeps
from tests.kernels.random_users import dense, random_users

CONFIG = WMFConfig(latent_dim=5, regularization=0.7, alpha=6.0)
TRAIN = random_users(n_users=60, n_items=25)
X = dense(TRAIN)
C = 1 + CONFIG.alpha * X


def new_trainer(dtype: torch.dtype = torch.float64) -> Trainer:
    return registry.make_trainer("wmf", CONFIG, TRAIN, seed=3, dtype=dtype)


@pytest.mark.parametrize("group", [1, 2000, 10**9], ids=["a row", "some rows", "all rows"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_sweeps_give_what_plain_least_squares_gives(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, group: int
) -> None:
    monkeypatch.setattr(least_squares, "GROUP_BYTES", group)
    trainer = new_trainer(dtype)
    start = trainer.model_state()["items"].double().numpy()
    for _ in range(3):
        reported = trainer.step()
    users, items = sweeps(X, C, start, CONFIG.regularization, 3)
    np.testing.assert_allclose(trainer.model_state()["items"].numpy(), items, atol=tolerance)
    expected = loss(X, C, users, items, CONFIG.regularization) / len(X)
    assert reported["loss"] == pytest.approx(expected, rel=max(tolerance, 1e-9))


def test_the_loss_never_rises() -> None:
    trainer = new_trainer(torch.float32)
    losses = [trainer.step()["loss"] for _ in range(20)]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_unseen_users_are_scored_by_their_ridge_problem() -> None:
    trainer = new_trainer()
    trainer.step()
    items = trainer.model_state()["items"]
    unseen = random_users(n_users=12, n_items=25, seed=5)
    x = dense(unseen)
    factors = ridge_rows(x, 1 + CONFIG.alpha * x, items.numpy(), CONFIG.regularization)
    scores = trainer.model.score(unseen)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), factors @ items.numpy().T, atol=1e-6)
    assert not scores[-1].any(), "a user without items"


def test_what_cannot_be_solved_is_said() -> None:
    side = user_side(SparseRows.from_matrix(TRAIN), weigh_wmf(CONFIG))
    with pytest.raises(DivergedError, match="raise regularization"):
        solve_rows(side, torch.full((25, 5), 1e6), 1e-9)


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="latent_dim is 0"):
        WMFConfig(latent_dim=0)
    with pytest.raises(ConfigError, match="regularization is 0; it must be a finite number above 0"):
        WMFConfig(regularization=0)
    with pytest.raises(ConfigError, match="alpha is -1"):
        WMFConfig(alpha=-1)
    with pytest.raises(CheckpointError, match="5 factors for each of 25 items"):
        load_factors(25, 5, {"items": torch.zeros(25, 4)}, "cpu", weigh_wmf(CONFIG), 1.0)
