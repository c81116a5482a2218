"""How layers with a row an item learn: both ways, which one is taken, and that they lead to the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training.schemes import item_steps
from distrecvae.training.schemes.item_steps import first_layer, output_layer
from distrecvae.training.schemes.state import adam
from tests.kernels.test_sparse import random_matrix
from tests.kernels.triton import error_of, needs_triton
from tests.kernels.triton.interpreted import interpreted

N_USERS, N_ITEMS, WIDTH = 9, 15, 4


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(N_ITEMS, WIDTH, generator=generator))
        self.bias = torch.nn.Parameter(torch.randn(N_ITEMS, generator=generator))


def batch() -> tuple[SparseRows, torch.Tensor, torch.Tensor]:
    """Return rows, values at their interactions, and something dense, (n_rows, width)."""
    rows = SparseRows.from_matrix(random_matrix(1, N_USERS, N_ITEMS))
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(rows.items.numel(), generator=generator)
    return rows, values, torch.randn(N_USERS, WIDTH, generator=generator)


def dense(rows: SparseRows, values: torch.Tensor) -> torch.Tensor:
    x = torch.zeros(N_USERS, N_ITEMS)
    x[rows.row_of, rows.items.long()] = values
    return x


def test_a_first_layers_gradient_is_written_for_the_optimizer() -> None:
    layer = Layer()
    first = first_layer(layer.weight, adam(layer, 0.1))
    rows, values, gradient = batch()
    place = layer.weight.grad
    for factor in (1, 2):  # nothing of a step is left in the next one's
        first.learn(rows, factor * values, gradient)
        torch.testing.assert_close(layer.weight.grad, factor * dense(rows, values).T @ gradient)
    assert layer.weight.grad is place, "it is made once"


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
def test_an_output_layers_gradients_are_those_of_autograd(wanted: bool, learn: bool) -> None:
    layer = Layer()
    output = output_layer(layer.weight, layer.bias, adam(layer, 0.1), None)
    rows, _, code = batch()
    code.requires_grad_()
    logits = code @ layer.weight.T + layer.bias
    truth = -(dense(rows, torch.ones(rows.items.numel())) * logits.log_softmax(dim=1)).sum(dim=1)
    by_code, *by_layer = torch.autograd.grad(truth.mean(), [code, layer.weight, layer.bias])
    found = torch.empty_like(by_code) if wanted else None
    losses = output.losses(rows, code.detach(), found, learn=learn)
    torch.testing.assert_close(losses, truth.detach())
    if found is not None:
        torch.testing.assert_close(found, by_code)
    for parameter, gradient in zip((layer.weight, layer.bias), by_layer, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient if learn else torch.zeros_like(gradient))


@pytest.mark.parametrize("change", ["learn", "renew"])
def test_an_output_layer_sees_weights_that_changed(change: str) -> None:
    # In bfloat16 a rounded copy is kept while others are trained; after a step or a refinement it is made again.
    layer = Layer()
    optimizer = adam(layer, 0.1)
    output = output_layer(layer.weight, layer.bias, optimizer, torch.bfloat16)
    rows, _, code = batch()
    output.losses(rows, code, None, learn=change == "learn")
    if change == "learn":
        optimizer.step()
    else:
        with torch.no_grad():
            layer.weight.mul_(2.0)
        output.renew()
    fresh = output_layer(layer.weight, layer.bias, adam(layer, 0.1), torch.bfloat16)
    expected = fresh.losses(rows, code, None, learn=False)
    assert torch.equal(output.losses(rows, code, None, learn=False), expected)


SETTINGS: list[dict[str, Any]] = [{}, {"alternating": False}, {"architecture": "mlp"}]


@needs_triton
@pytest.mark.parametrize("low", [None, torch.float16], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_steps_taken_where_gradients_are_made_lead_to_the_same(
    settings: dict[str, Any], low: torch.dtype | None
) -> None:
    train = random_matrix(2, 30, 40)
    config = RecVAEConfig(hidden_dim=12, latent_dim=6, batch_size=8, **settings)
    found, expected = (
        interpreted("tests.kernels.triton.wired", "recvae_trained", train, config, low, by_kernels=way)[0]
        for way in (True, False)
    )
    fused = {"encoder.fc1.weight"} | ({"decoder.weight", "decoder.bias"} if low is not None else set())
    assert (found.without_gradient, expected.without_gradient) == (fused, set())
    assert found.state.keys() == expected.state.keys()
    for name, value in expected.state.items():
        assert found.state[name].shape == value.shape
        assert torch.equal(found.restored[name], found.state[name]), name
        # A step follows a gradient's sign, whatever its size: where one is nearly zero, rounding decides, and the
        # parameters of a few elements go the other way. What Adam remembers follows the gradient.
        assert error_of(found.state[name], value) <= (1e-4 if low is None else 1e-2), name


@needs_triton
def test_the_way_depends_on_the_parameters_and_on_what_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    def ways(layer: Layer, low: torch.dtype | None) -> list[bool]:
        optimizer = adam(layer, 0.1)
        first_layer(layer.weight, optimizer), output_layer(layer.weight, layer.bias, optimizer, low)
        return [parameter.grad is None for parameter in (layer.weight, layer.bias)]

    assert ways(Layer(), torch.bfloat16) == [False, False], "a CPU has no such kernels"
    monkeypatch.setattr(item_steps, "usable", lambda *tensors: not any(t.requires_grad for t in tensors))
    assert ways(Layer(), torch.bfloat16) == [True, True]
    assert ways(Layer(), None) == [False, False]
    assert ways(Layer().double(), torch.bfloat16) == [False, False]
