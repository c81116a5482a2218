"""PMF: its weights, what they stand for, and the same plain oracle as WMF's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.pmf import PMFConfig, weigh_pmf
from distrecvae.training import registry
from distrecvae.training.schemes.least_squares import LeastSquaresTrainer
from tests.kernels.factorization import loss, ridge_rows, sweeps
from tests.kernels.random_users import dense, random_users

CONFIG = PMFConfig(latent_dim=4, regularization=0.5, negatives=1.5)
TRAIN = random_users(n_users=60, n_items=25)
X = dense(TRAIN)


def weights(
    x: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    n = x.sum(axis=1, keepdims=True)
    chance = np.minimum(1, CONFIG.negatives * n / np.maximum(x.shape[1] - n, 1))
    return np.where(x > 0, 1.0, chance)


def test_a_zero_counts_by_its_chance_to_be_drawn() -> None:
    weighed = weigh_pmf(PMFConfig(negatives=3))(torch.tensor([0, 1, 4, 9, 10]), 10)
    assert weighed.one == 1
    # 3 of 9, 12 of 6 (all of them, once), 27 of 1, and nothing to draw from.
    assert weighed.zeros.tolist() == pytest.approx([0, 1 / 3, 1, 1, 1])


def test_sweeps_give_what_plain_least_squares_gives() -> None:
    trainer = LeastSquaresTrainer(
        TRAIN, 4, CONFIG.regularization, weigh_pmf(CONFIG), seed=3, dtype=torch.float64, steps=8
    )
    start = trainer.model_state()["items"].numpy()
    losses = [trainer.step()["loss"] for _ in range(3)]
    users, items = sweeps(X, weights(X), start, CONFIG.regularization, 3)
    np.testing.assert_allclose(trainer.model_state()["items"].numpy(), items, atol=1e-10)
    expected = loss(X, weights(X), users, items, CONFIG.regularization) / len(X)
    assert losses[-1] == pytest.approx(expected, rel=1e-9)


def test_the_loss_never_rises() -> None:
    trainer = registry.make_trainer("pmf", CONFIG, TRAIN, seed=3)
    losses = [trainer.step()["loss"] for _ in range(20)]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))


def test_unseen_users_are_scored_by_their_ridge_problem() -> None:
    trainer = registry.make_trainer("pmf", CONFIG, TRAIN, seed=3, dtype=torch.float64)
    trainer.step()
    items = trainer.model_state()["items"].numpy()
    unseen = random_users(n_users=12, n_items=25, seed=5)
    x = dense(unseen)
    factors = ridge_rows(x, weights(x), items, CONFIG.regularization)
    scores = trainer.model.score(unseen).numpy()
    np.testing.assert_allclose(scores, factors @ items.T, atol=1e-6)


def test_the_weighted_loss_is_the_sampled_ones_mean() -> None:
    generator = np.random.default_rng(0)
    users, items = generator.normal(size=(60, 4)), generator.normal(size=(25, 4))
    draws = []
    for _ in range(2000):
        drawn = X.copy()
        for row, own in zip(drawn, X, strict=True):
            others = np.flatnonzero(own == 0)
            # A whole number of zeros, up or down so that its mean is the one wanted.
            wanted = CONFIG.negatives * own.sum()
            number = int(wanted) + int(generator.random() < wanted - int(wanted))
            row[generator.permutation(others)[:number]] = 1
        draws.append(loss(X, drawn, users, items, 0.0))
    expected = loss(X, weights(X), users, items, 0.0)
    assert np.mean(draws) == pytest.approx(expected, abs=5 * np.std(draws) / np.sqrt(len(draws)))


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="negatives is 0; it must be a finite number above 0"):
        PMFConfig(negatives=0)
    with pytest.raises(ConfigError, match="regularization is -1"):
        PMFConfig(regularization=-1)
