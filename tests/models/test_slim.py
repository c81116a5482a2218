"""SLIM: against scikit-learn's elastic net, column by column, and against the conditions of a minimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import ElasticNet

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError, DivergedError
from distrecvae.models import slim
from distrecvae.models.item_weights import gram_matrix
from distrecvae.models.slim import SLIMConfig, descend, solve_slim
from tests.models.random_users import dense, random_users

CONFIGS = [SLIMConfig(l1=1.0, l2=5.0), SLIMConfig(l1=0.2, l2=0.5), SLIMConfig(l1=8.0, l2=40.0)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_weights_are_scikit_learns(config: SLIMConfig) -> None:
    train = random_users(n_users=150, n_items=30)
    x = dense(train)
    # scikit-learn divides the squared error by the number of users, and so must the penalties be.
    oracle = ElasticNet(
        alpha=(config.l1 + config.l2) / len(x),
        l1_ratio=config.l1 / (config.l1 + config.l2),
        positive=True,
        fit_intercept=False,
        tol=1e-12,
        max_iter=100_000,
    )
    weight = descend(gram_matrix(train, torch.float64, "cpu"), config, tolerance=1e-10).numpy()
    for j in range(30):
        others = x.copy()
        others[:, j] = 0
        np.testing.assert_allclose(weight[:, j], oracle.fit(others, x[:, j]).coef_, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
@pytest.mark.parametrize("n_items", [30, 150])
def test_weights_fulfil_the_conditions_of_a_minimum(config: SLIMConfig, n_items: int) -> None:
    train = random_users(n_users=200, n_items=n_items)
    gram = gram_matrix(train, torch.float64, "cpu")
    weight = descend(gram, config, tolerance=1e-9)
    gradient = gram @ weight - gram + config.l2 * weight + config.l1
    gradient.fill_diagonal_(0.0)
    assert not weight.diagonal().any()
    assert (weight >= 0).all()
    assert (weight > 0).any()
    assert gradient[weight > 0].abs().max() < 1e-5, "a positive weight has no slope"
    assert gradient.min() > -1e-5, "a zero weight does not want to grow"


def test_in_float32_they_are_the_same_to_the_tolerance() -> None:
    train = random_users(n_users=400, n_items=150)
    exact = descend(gram_matrix(train, torch.float64, "cpu"), CONFIGS[0], tolerance=1e-10)
    weight = solve_slim(CONFIGS[0], train)["weight"]
    assert weight.dtype == torch.float32
    assert (weight - exact).abs().max() < 5 * slim.TOLERANCE * exact.max()


def test_an_item_of_nobody_has_no_weights_even_without_regularization() -> None:
    train = InteractionMatrix.from_pairs([0, 0, 1], [0, 1, 1], n_users=2, n_items=3)
    weight = solve_slim(SLIMConfig(l1=0, l2=0), train)["weight"]
    assert torch.isfinite(weight).all()
    assert not weight[2].any()
    assert not weight[:, 2].any()


def test_what_does_not_converge_is_not_passed_off_as_a_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slim, "MAX_SWEEPS", 2)
    with pytest.raises(DivergedError, match=r"still changed after 2 sweeps; raise l2 or l1"):
        solve_slim(SLIMConfig(l1=0.01, l2=0.01), random_users(n_users=150, n_items=30))


def test_what_breaks_a_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="l1 is -1; it must be a finite number at least 0"):
        SLIMConfig(l1=-1)
    with pytest.raises(ConfigError, match="l2 is nan"):
        SLIMConfig(l2=float("nan"))
