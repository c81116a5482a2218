"""AutoRec and losses of single cells: against the equations, dense and in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812

from distrecvae.errors import ConfigError
from distrecvae.kernels.pointwise import CellLoss, Pointwise, square
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.autorec import AutoRec, AutoRecConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X
from tests.kernels.test_multinomial import random_parts
from tests.kernels.test_sparse import random_matrix

LOSSES: dict[str, CellLoss] = {
    "square": square,
    "logistic": lambda logits, targets: F.softplus(logits) - targets * logits,
}


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 9),
    n_items=st.integers(1, 40),
    items_a_block=st.integers(1, 45),
    padding=st.integers(0, 9),
)
def test_losses_of_cells_and_gradients_in_any_shape_and_blocks(
    name: str, seed: int, n_rows: int, n_items: int, items_a_block: int, padding: int
) -> None:
    matrix, parts = random_matrix(seed, n_rows, n_items), random_parts(seed, n_rows, n_items, 3)
    rows = SparseRows.from_matrix(matrix).take(
        torch.arange(n_rows), matrix.n_interactions + padding, padded=bool(padding)
    )
    gradients = [torch.full_like(part, float("nan")) for part in parts]
    losses = Pointwise(LOSSES[name], items_a_block=items_a_block).loss_and_gradients(
        rows, *parts, code_gradient=gradients[0], weight_gradient=gradients[1], bias_gradient=gradients[2]
    )
    code, weight, bias = (part.clone().requires_grad_() for part in parts)
    x = torch.from_numpy(matrix.to_scipy().toarray()).double()
    expected = LOSSES[name](code @ weight.T + bias, x).sum(dim=1)
    torch.testing.assert_close(losses, expected.detach())
    for mine, true in zip(gradients, torch.autograd.grad(expected.mean(), [code, weight, bias]), strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("name", LOSSES)
def test_bfloat16_is_the_same_but_for_rounding(name: str) -> None:
    parts = [part.float() for part in random_parts(2, N_ITEMS, N_ITEMS, 4, scale=0.5)]
    matrix = random_matrix(2, N_ITEMS, N_ITEMS)
    results = []
    for low in (None, torch.bfloat16):
        gradients = [torch.empty_like(part) for part in parts]
        losses = Pointwise(LOSSES[name], low).loss_and_gradients(
            SparseRows.from_matrix(matrix),
            *parts,
            code_gradient=gradients[0],
            weight_gradient=gradients[1],
            bias_gradient=gradients[2],
        )
        results.append([losses, *gradients])
    for found, true in zip(results[1], results[0], strict=True):
        assert float((found - true).norm() / true.norm()) <= 2.0**-6


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_it_minimizes_the_papers_equation_over_all_cells(dropout: float) -> None:
    torch.manual_seed(0)
    network = AutoRec(AutoRecConfig(hidden_dim=6, dropout=dropout), N_ITEMS).double()
    found = network.loss(ROWS, Fixed(), 0)["loss"]
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
