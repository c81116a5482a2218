"""WMF: its weights, users that it has never seen, and its settings' rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.wmf import WMFConfig, weigh_wmf
from distrecvae.training import registry
from tests.kernels.factorization import ridge_rows
from tests.kernels.random_users import dense, random_users

CONFIG = WMFConfig(latent_dim=5, regularization=0.7, alpha=6.0)
TRAIN = random_users(n_users=60, n_items=25)


def test_interactions_count_more_by_alpha_and_zeros_alike() -> None:
    weights = weigh_wmf(CONFIG)(torch.tensor([0, 3, 25]), 25)
    assert weights.one == 7.0
    assert torch.equal(weights.zeros, torch.ones(3, dtype=torch.float64))


def test_unseen_users_are_scored_by_their_ridge_problem() -> None:
    trainer = registry.make_trainer("wmf", CONFIG, TRAIN, seed=3, dtype=torch.float64)
    trainer.step()
    items = trainer.model_state()["items"]
    unseen = random_users(n_users=12, n_items=25, seed=5)
    x = dense(unseen)
    factors = ridge_rows(x, 1 + CONFIG.alpha * x, items.numpy(), CONFIG.regularization)
    scores = trainer.model.score(unseen)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.numpy(), factors @ items.numpy().T, atol=1e-6)
    assert not scores[-1].any(), "a user without items"


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="latent_dim is 0"):
        WMFConfig(latent_dim=0)
    with pytest.raises(ConfigError, match="regularization is 0; it must be a finite number above 0"):
        WMFConfig(regularization=0)
    with pytest.raises(ConfigError, match="alpha is -1"):
        WMFConfig(alpha=-1)
