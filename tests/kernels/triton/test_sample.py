"""A sample and its divergence in a launch, their gradient in another: against autograd in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from distrecvae.kernels.composite_prior import UNIFORM_LOGVAR, Weights, sampled
from tests.kernels.triton import PLACES, assert_as_exact, needs_triton
from tests.kernels.triton.compiled import CAPABILITIES, launches_of, made_up, resources_of
from tests.kernels.triton.interpreted import interpreted

pytestmark = needs_triton

WEIGHTS: list[Weights] = [
    (0.15, 0.75, 0.1),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0),
    (0.25, 0.75, 0.0),
    (0.5, 0.0, 0.5),
]


def given(n_rows: int, width: int) -> list[torch.Tensor]:
    """Return mu, logvar, noise, q_old's mean and log-variance, and what comes back by z."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(n_rows, width, generator=generator) for _ in range(6)]


def oracle(parts: list[torch.Tensor], weights: Weights, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return z, the divergence, and the gradients by mu and logvar, as PyTorch's operators find them."""
    mu, logvar, noise, *old, by_z = (part.to(dtype) for part in parts)
    mu, logvar = mu.requires_grad_(), logvar.requires_grad_()
    z, divergence = sampled(mu, logvar, noise, weights, (old[0], old[1]))
    gradients = torch.autograd.grad((z, divergence), (mu, logvar), (by_z, by_z[:, 0]))
    return [z.detach(), divergence.detach(), *gradients]


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize(("n_rows", "width"), [(7, 5), (3, 200), (1, 1), (0, 4)])
@pytest.mark.parametrize("run", PLACES)
def test_it_is_as_exact_as_pytorchs_operators(
    run: Callable[..., Any], n_rows: int, width: int, weights: Weights
) -> None:
    parts = given(n_rows, width)
    mu, logvar, noise, *old, by_z = parts
    posterior = (old[0], old[1]) if weights[1] else None
    found = run("sample", "sample", mu, logvar, noise, weights, posterior, UNIFORM_LOGVAR)[0]
    by_divergence = by_z[:, 0]  # of a stride that is not 1
    gradients = run("sample", "sample_gradients", by_z, by_divergence, found.ahead, found.pull)[0]
    truth, usual = oracle(parts, weights, torch.float64), oracle(parts, weights, torch.float32)
    for mine, naive, true in zip((found.z, found.divergence, *gradients), usual, truth, strict=True):
        assert_as_exact(mine, naive, true)


@pytest.mark.parametrize("run", PLACES)
def test_parts_that_are_far_from_the_sample_are_no_trouble(run: Callable[..., Any]) -> None:
    # By exp(-z^2 / 2) the standard part is 0 in float32; the sum of parts is taken relative to the largest one.
    mu = torch.tensor([[30.0, -30.0]])
    parts = [
        mu,
        torch.full_like(mu, -3),
        torch.zeros_like(mu),
        -mu,
        torch.zeros_like(mu),
        torch.ones_like(mu),
    ]
    found = run("sample", "sample", *parts[:3], WEIGHTS[0], (parts[3], parts[4]), UNIFORM_LOGVAR)[0]
    truth = oracle(parts, WEIGHTS[0], torch.float64)
    torch.testing.assert_close(found.divergence.double(), truth[1], rtol=1e-6, atol=0)
    assert torch.isfinite(found.pull).all()


@pytest.mark.parametrize("weights", [WEIGHTS[0], WEIGHTS[5]], ids=str)
def test_the_prior_takes_it_where_it_can(weights: Weights) -> None:
    parts = given(7, 5)
    found = interpreted("tests.kernels.triton.wired", "sample_and_gradients", parts, weights)[0]
    truth, usual = oracle(parts, weights, torch.float64), oracle(parts, weights, torch.float32)
    for mine, naive, true in zip(found, usual, truth, strict=True):
        assert_as_exact(mine, naive, true)


def test_wide_codes_and_other_types_are_left_to_pytorch() -> None:
    from distrecvae.kernels.triton.sample import WIDEST, fits

    assert fits(torch.empty(2, WIDEST))
    assert not fits(torch.empty(2, WIDEST + 1))
    assert not fits(torch.empty(2, 3, dtype=torch.float64))


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("width", [200, 2048])
def test_it_compiles_without_spills(monkeypatch: pytest.MonkeyPatch, width: int, capability: int) -> None:
    from distrecvae.kernels.triton.sample import sample, sample_gradients

    x, row = made_up((500, width)), made_up((500,))
    calls = (
        partial(sample, x, x, x, WEIGHTS[0], (x, x), UNIFORM_LOGVAR),
        partial(sample_gradients, x, row, x, x),
    )
    for call in calls:
        (launch,) = launches_of(monkeypatch, call)
        assert launch.grid == (500,)
        found = resources_of(launch, capability)
        assert found.registers <= (64 if width <= 256 else 255)
        assert found.spilled_bytes == 0
        assert found.shared_bytes <= 1024
        assert ".f64" not in found.ptx, "which most GPUs do 64 times slower"
