"""Layers over all items: forward and every gradient against dense matrices and autograd, in float64."""

from __future__ import annotations

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.kernels.layers import (
    ItemOutput,
    OutputLoss,
    SparseLinear,
    denoised,
    init_as_published,
    load_parameters,
)
from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.pointwise import Pointwise, square
from distrecvae.kernels.sparse import SparseRows
from tests.kernels.test_sparse import random_matrix

N_USERS, N_ITEMS = 6, 20
MATRIX = random_matrix(3, N_USERS, N_ITEMS)
ROWS = SparseRows.from_matrix(MATRIX)
X = torch.from_numpy(MATRIX.to_scipy().toarray()).double()


def counted(updates: int) -> torch.Tensor:
    """Return a number of updates as a trainer gives it."""
    return torch.tensor(float(updates), dtype=torch.float64)


class Fixed:
    """Draws that are known: every second interaction is kept, noise is one."""

    def kept(self, n_places: int, dropout: float) -> torch.Tensor:  # noqa: ARG002
        return torch.arange(n_places) % 2 == 0

    def normal(self, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:
        return torch.ones(shape, dtype=dtype)


def dense_input(dropout: float) -> torch.Tensor:
    """Return what `denoised` stands for, as a matrix."""
    x: torch.Tensor = X / X.norm(dim=1, keepdim=True).clamp(min=1)
    if dropout:
        kept = torch.zeros_like(X)
        kept[X > 0] = Fixed().kept(MATRIX.n_interactions, dropout).double()
        x = x * kept / (1 - dropout)
    return x


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_layer_of_sparse_rows_is_a_linear_layer_of_dense_ones(dropout: float) -> None:
    torch.manual_seed(0)
    layer = SparseLinear(N_ITEMS, 5).double()
    found = layer(ROWS, denoised(ROWS, dropout, Fixed(), torch.float64))
    expected = dense_input(dropout) @ layer.weight + layer.bias
    torch.testing.assert_close(found, expected)
    upstream = torch.randn(N_USERS, 5, dtype=torch.float64)
    parameters = list(layer.parameters())
    for mine, true in zip(
        torch.autograd.grad(found, parameters, upstream),
        torch.autograd.grad(expected, parameters, upstream),
        strict=True,
    ):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("output", [Multinomial(items_a_block=7), Pointwise(square, items_a_block=7)])
def test_losses_of_rows_may_each_be_weighed(output: OutputLoss) -> None:
    torch.manual_seed(0)
    layer = ItemOutput(N_ITEMS, 4, output).double()
    code = torch.randn(N_USERS, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([0.0, 1.0, -2.0, 0.5, 3.0, 1.0], dtype=torch.float64)
    logits = code @ layer.weight.T + layer.bias
    square_error = (X - logits).square().sum(dim=1)
    likelihood = (torch.log_softmax(logits, dim=1) * X).sum(dim=1)
    expected = -likelihood if isinstance(output, Multinomial) else square_error
    found = layer.row_losses(code, ROWS)
    torch.testing.assert_close(found, expected)
    for mine, true in zip(
        torch.autograd.grad((found.square() * weights).sum(), [code, layer.weight, layer.bias]),
        torch.autograd.grad((expected.square() * weights).sum(), [code, layer.weight, layer.bias]),
        strict=True,
    ):
        torch.testing.assert_close(mine, true)


def test_padding_has_no_weight() -> None:
    padded = ROWS.take(torch.arange(N_USERS), MATRIX.n_interactions + 5, padded=True)
    layer = ItemOutput(N_ITEMS, 4, Multinomial()).double()
    code, weights = torch.randn(N_USERS, 4).double(), torch.arange(N_USERS).double()
    found, expected = (
        torch.autograd.grad(layer.row_losses(code, rows) @ weights, list(layer.parameters()))
        for rows in (padded, ROWS)
    )
    for mine, true in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_loss_of_all_items_is_log_softmax_times_x_whatever_it_is_weighted_by(scale: float) -> None:
    torch.manual_seed(0)
    layer = ItemOutput(N_ITEMS, 4, Multinomial()).double()
    code = torch.randn(N_USERS, 4, dtype=torch.float64, requires_grad=True)
    found = scale * layer.mean_loss(code, ROWS)
    expected = -scale * (torch.log_softmax(layer(code), dim=1) * X).sum(dim=1).mean()
    torch.testing.assert_close(found, expected)
    inputs = [code, *layer.parameters()]
    for mine, true in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(mine, true)


def test_only_the_gradients_that_are_wanted_are_made() -> None:
    layer = ItemOutput(N_ITEMS, 4, Multinomial()).requires_grad_(False)
    code = torch.randn(N_USERS, 4, requires_grad=True)
    layer.mean_loss(code, ROWS).backward()  # type: ignore[no-untyped-call]
    assert code.grad is not None
    assert layer.weight.grad is None


def test_published_initial_values() -> None:
    torch.manual_seed(0)
    layer = SparseLinear(400, 100)
    init_as_published(layer)
    bound = (6 / 500) ** 0.5
    assert 0.95 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert 0 < float(layer.bias.detach().abs().max()) <= 0.002


def test_other_parameters_are_refused() -> None:
    with torch.device("meta"):
        layer = SparseLinear(4, 3)
    with pytest.raises(CheckpointError, match="parameters bias do not fit"):
        load_parameters(layer, {"weight": torch.zeros(4, 3), "bias": torch.zeros(2)}, "cpu")
    with pytest.raises(CheckpointError, match="parameters bias do not fit"):
        load_parameters(
            layer, {"weight": torch.zeros(4, 3), "bias": torch.zeros(3, dtype=torch.float64)}, "cpu"
        )
    load_parameters(layer, {"weight": torch.ones(4, 3), "bias": torch.zeros(3)}, "cpu")
    assert not layer.weight.requires_grad
    assert float(layer.weight.sum()) == 12
