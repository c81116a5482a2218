"""AutoRec: its loss and every gradient against the paper's equation, dense and in float64."""

from __future__ import annotations

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.autorec import AutoRec, AutoRecConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_it_minimizes_the_papers_equation_over_all_cells(dropout: float) -> None:
    torch.manual_seed(0)
    network = AutoRec(AutoRecConfig(hidden_dim=6, dropout=dropout), N_ITEMS).double()
    found = network.loss(ROWS, Fixed(), counted(0))["loss"]
    x = X
    if dropout:
        kept = torch.zeros_like(X)
        kept[X > 0] = Fixed().kept(MATRIX.n_interactions, dropout).double()
        x = X * kept / (1 - dropout)
    hidden = torch.sigmoid(x @ network.first.weight + network.first.bias)
    expected = (X - network.items(hidden)).square().sum(dim=1).mean()
    torch.testing.assert_close(found, expected)
    parameters = list(network.parameters())
    for mine, true in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(mine, true)


def test_scores_are_the_reconstruction() -> None:
    network = AutoRec(AutoRecConfig(hidden_dim=6), N_ITEMS).double()
    hidden = torch.sigmoid(X @ network.first.weight + network.first.bias)
    torch.testing.assert_close(network.score(MATRIX), network.items(hidden).detach().float())


def test_a_broken_rule_is_one_clear_line() -> None:
    with pytest.raises(ConfigError, match="regularization is -1; it must be a finite number at least 0"):
        AutoRecConfig(regularization=-1)
    with pytest.raises(ConfigError, match="hidden_dim is 0"):
        AutoRecConfig(hidden_dim=0)
