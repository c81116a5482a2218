"""The likelihood put together from the kernels: against `kernels.multinomial`, its oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import RecVAEConfig
from tests.kernels.test_sparse import random_matrix
from tests.kernels.triton import PRODUCTS, assert_as_exact, needs_triton
from tests.kernels.triton.interpreted import interpreted
from tests.kernels.triton.random_batch import RandomBatch, random_batch

pytestmark = needs_triton

RATE = 5e-4
NAMES = ("code_gradient", "weight_gradient", "bias_gradient")


def oracle(
    batch: RandomBatch, low: torch.dtype | None, dtype: torch.dtype, row_weights: torch.Tensor | None
) -> list[torch.Tensor]:
    """Return losses and gradients as PyTorch's operators find them."""
    rows = SparseRows(batch.offsets, batch.items, batch.weight.shape[0], padded=True)
    parts = [part.to(dtype) for part in (batch.code, batch.weight, batch.bias)]
    gradients = {name: torch.empty_like(part) for name, part in zip(NAMES, parts, strict=True)}
    weights = None if row_weights is None else row_weights.to(dtype)
    losses = Multinomial(low).loss_and_gradients(rows, *parts, **gradients, row_weights=weights)
    return [losses, *gradients.values()]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_losses_and_gradients_are_as_exact_as_the_oracles(
    run: Callable[..., Any], low: torch.dtype | None, weighted: bool
) -> None:
    from distrecvae.kernels.triton.likelihood import Observed

    batch = random_batch(5, 20, 150, 24)
    row_weights = torch.rand(20, generator=torch.Generator().manual_seed(1)) if weighted else None
    truth = oracle(batch, None, torch.float64, row_weights)
    usual = oracle(batch, low, torch.float32, row_weights)
    rows = Observed(batch.offsets, batch.items, batch.row_of)
    parts = (batch.code, batch.weight, batch.bias)
    for wanted in (NAMES[:1], NAMES[1:2], NAMES):
        blank = {name: torch.full_like(part, float("nan")) for name, part in zip(NAMES, parts, strict=True)}
        into = {name: blank[name] for name in wanted}
        ran = run("likelihood", "loss_and_gradients", rows, *parts, low, **into, row_weights=row_weights)
        found = {"losses": ran[0], **dict(zip(wanted, ran[6:], strict=False))}
        for number, name in enumerate(("losses", *NAMES)):
            if name in found:
                assert_as_exact(found[name], usual[number], truth[number], low)


@pytest.mark.parametrize(("run", "low"), PRODUCTS)
def test_a_step_is_taken_instead_of_gradients(run: Callable[..., Any], low: torch.dtype | None) -> None:
    from distrecvae.kernels.triton.adam import Moments, Rates
    from distrecvae.kernels.triton.likelihood import AdamStep, Observed

    batch = random_batch(6, 20, 150, 24)
    losses, _, *gradients = oracle(batch, None, torch.float64, None)
    usual_losses, _, *usual_gradients = oracle(batch, low, torch.float32, None)
    rows = Observed(batch.offsets, batch.items, batch.row_of)
    parts = (batch.weight, batch.bias)
    of_weight, of_bias = (
        Moments(torch.zeros(()), torch.zeros_like(part), torch.zeros_like(part)) for part in parts
    )
    copy = None if low is None else torch.zeros_like(batch.weight, dtype=low)
    low_weight = None if low is None else batch.weight.to(low)
    step = AdamStep(of_weight, of_bias, Rates(RATE), copy)
    ran = run(
        "likelihood", "loss_and_gradients", rows, batch.code, *parts, low, step=step, low_weight=low_weight
    )
    after = ran[6]
    assert_as_exact(ran[0], usual_losses, losses, low)
    for number, moments in enumerate((after.weight, after.bias)):
        # Adam's first step: a tenth of the gradient is remembered, and a weight moves by the learning rate.
        assert_as_exact(moments.exp_avg, 0.1 * usual_gradients[number], 0.1 * gradients[number], low)
        change = (ran[3 + number] - parts[number]).abs()
        assert float(change.max()) <= RATE * 1.001
        assert float(change.median()) >= RATE * 0.99
    if low is not None:
        assert torch.equal(after.copy, ran[3].to(low))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("low", [None, torch.float16], ids=str)
def test_multinomial_gives_the_same_where_it_takes_the_kernels(
    low: torch.dtype | None, weighted: bool
) -> None:
    batch = random_batch(7, 20, 150, 24)
    row_weights = torch.rand(20, generator=torch.Generator().manual_seed(1)) if weighted else None
    found = interpreted("tests.kernels.triton.wired", "loss_and_gradients", batch, low, row_weights)[0]
    truth = oracle(batch, None, torch.float64, row_weights)
    usual = oracle(batch, low, torch.float32, row_weights)
    for mine, naive, true in zip(found, usual, truth, strict=True):
        assert_as_exact(mine, naive, true, low)


def test_a_cycle_of_recvae_with_the_kernels_is_the_one_without() -> None:
    train = random_matrix(2, 30, 40)
    config = RecVAEConfig(hidden_dim=12, latent_dim=6, batch_size=8)
    found, expected = (
        interpreted("tests.kernels.triton.wired", "recvae_cycle", train, config, by_kernels=by_kernels)[0]
        for by_kernels in (True, False)
    )
    # Adam's first steps follow a gradient's sign, whatever its size: where one is nearly zero, rounding decides.
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_layers_that_are_too_wide_or_of_float32_are_left_to_pytorch() -> None:
    from distrecvae.kernels.triton.likelihood import fits
    from distrecvae.kernels.triton.sweep import WIDEST

    assert fits(torch.empty(9, WIDEST), torch.bfloat16)
    assert not fits(torch.empty(9, WIDEST + 1), torch.bfloat16)
    assert not fits(torch.empty(9, 8), None)
    assert not fits(torch.empty(9, 8, dtype=torch.float64), torch.bfloat16)
    assert not fits(torch.empty(8, 9).T, torch.bfloat16)
