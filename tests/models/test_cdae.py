"""CDAE: its loss and every gradient against the paper's equation, dense and in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from distrecvae.errors import ConfigError
from distrecvae.models.cdae import CDAE, LOSSES, CDAEConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, N_USERS, ROWS, Fixed, X, counted


def zero_weights(negatives: float | None) -> torch.Tensor:
    """Return the weight of a zero of each user, one by one."""
    if negatives is None:
        return torch.ones(N_USERS, 1).double()
    counts = [int(row.sum()) for row in X]
    weights = [min(1.0, negatives * n / (N_ITEMS - n)) if n < N_ITEMS else 1.0 for n in counts]
    return torch.tensor(weights, dtype=torch.float64)[:, None]


@pytest.mark.parametrize("negatives", [None, 0.7, 5.0])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_minimizes_the_papers_equation(loss: str, dropout: float, negatives: float | None) -> None:
    torch.manual_seed(0)
    config = CDAEConfig(hidden_dim=6, loss=loss, dropout=dropout, negatives=negatives, regularization=0.3)
    network = CDAE(config, N_ITEMS).double()
    vectors = torch.randn(N_USERS, 6, dtype=torch.float64, requires_grad=True)
    found = network.loss_of_users(ROWS, vectors, Fixed(), counted(0))
    x = X
    if dropout:
        kept = torch.zeros_like(X)
        kept[X > 0] = Fixed().kept(MATRIX.n_interactions, dropout).double()
        x = X * kept / (1 - dropout)
    y = network.items(torch.sigmoid(x @ network.first.weight + vectors + network.first.bias))
    entropy = F.binary_cross_entropy(torch.sigmoid(y), X, reduction="none")
    cells = {"square": (X - y).square(), "logistic": entropy}[loss]
    error = (torch.where(X > 0, 1.0, zero_weights(negatives)) * cells).sum(dim=1).mean()
    penalty = sum(0.3 * vector.square().sum() for vector in vectors) / N_USERS
    torch.testing.assert_close(found["error"], error)
    torch.testing.assert_close(found["penalty"], penalty)
    torch.testing.assert_close(found["loss"], error + penalty)
    wanted = [*network.parameters(), vectors]
    for mine, true in zip(
        torch.autograd.grad(found["loss"], wanted),
        torch.autograd.grad(error + penalty, wanted),
        strict=True,
    ):
        torch.testing.assert_close(mine, true)


def test_a_user_without_a_vector_is_scored_with_the_mean_of_the_others() -> None:
    network = CDAE(CDAEConfig(hidden_dim=6), N_ITEMS).double()
    vectors = torch.randn(50, 6, dtype=torch.float64)
    before = network.score(MATRIX)
    network.settle(vectors)
    mean = torch.stack([vectors[:, k].sum() / 50 for k in range(6)])
    y = network.items(torch.sigmoid(X @ network.first.weight + network.first.bias + mean))
    torch.testing.assert_close(network.score(MATRIX), y.detach().float())
    assert not torch.allclose(network.score(MATRIX), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "squared"}, "loss is 'squared'; it must be one of square, logistic; did you mean 'square'"),
        ({"negatives": 0}, "negatives is 0; it must be a finite number above 0"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be a number from 0 to below 1"),
        ({"regularization": -1}, "regularization is -1; it must be a finite number at least 0"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CDAEConfig(**settings)
