"""RecVAE's prior and the divergence from it: against torch.distributions, and the gradient by hand against autograd."""

from __future__ import annotations

import math

import pytest
import torch

from distrecvae.kernels.composite_prior import Weights, kl_divergence, log_prior, sampled
from tests.soft_cuda import SoftDevice

WEIGHTS = (0.15, 0.75, 0.1)


@pytest.mark.parametrize(
    "weights", [(1.0, 0.0, 0.0), (0.25, 0.75, 0.0), (0.0, 1.0, 0.0), (0.5, 0.0, 0.5), WEIGHTS]
)
def test_the_prior_is_the_mixture_of_its_active_components(weights: tuple[float, float, float]) -> None:
    generator = torch.Generator().manual_seed(0)
    z, mu, logvar = torch.randn(3, 4, 6, generator=generator, dtype=torch.float64).unbind()
    normal = torch.distributions.Normal
    parts = (normal(0.0, 1.0), normal(mu, (logvar / 2).exp()), normal(0.0, math.exp(5.0)))
    densities = [part.log_prob(z).exp() for part in parts]  # type: ignore[no-untyped-call]
    expected = sum(weight * density for weight, density in zip(weights, densities, strict=True))
    assert isinstance(expected, torch.Tensor)
    found = log_prior(z, weights, (mu, logvar) if weights[1] else None)
    torch.testing.assert_close(found, expected.log())


def given(n_rows: int = 7, dim: int = 5, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    """Return mu, logvar, noise, and q_old's mean and log-variance."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(n_rows, dim, generator=generator, dtype=dtype) for _ in range(5)]


@pytest.mark.parametrize(
    "weights",
    [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.25, 0.75, 0.0), (0.5, 0.0, 0.5), WEIGHTS],
)
def test_a_sample_is_the_papers(weights: Weights) -> None:
    mu, logvar, noise, *old = given()
    z, divergence = sampled(mu, logvar, noise, weights, (old[0], old[1]))
    torch.testing.assert_close(z, mu + noise * (logvar / 2).exp())
    torch.testing.assert_close(divergence, kl_divergence(z, mu, logvar, weights, (old[0], old[1])))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
@pytest.mark.parametrize(
    "weights",
    [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.25, 0.75, 0.0), (0.5, 0.0, 0.5), WEIGHTS],
)
def test_the_gradient_by_hand_is_autograds(weights: Weights, device: str) -> None:
    mu, logvar, noise, *old = given()
    mu, logvar = mu.requires_grad_(), logvar.requires_grad_()
    upstream = (torch.randn(7, 5, dtype=torch.float64), torch.rand(7, dtype=torch.float64))
    expected = sampled(mu, logvar, noise, weights, (old[0], old[1]))
    gradients = torch.autograd.grad(expected, (mu, logvar), upstream)
    there = [part.detach().to(device) for part in (mu, logvar, noise, *old)]
    mine, my_logvar = there[0].requires_grad_(), there[1].requires_grad_()
    found = sampled(mine, my_logvar, there[2], weights, (there[3], there[4]), by_hand=True)
    found_gradients = torch.autograd.grad(found, (mine, my_logvar), [part.to(device) for part in upstream])
    for one, other in zip((*found, *found_gradients), (*expected, *gradients), strict=True):
        torch.testing.assert_close(one.detach().cpu(), other.detach(), rtol=1e-11, atol=1e-11)


def test_densities_far_from_every_part_stay_finite(soft_device: SoftDevice) -> None:
    # exp(-logvar) of q_old is large where it is sure of itself: shares of the parts are 0 and 1 there, not NaN.
    mu, logvar, noise, *_ = (part.to("cuda") for part in given(dtype=torch.float32))
    old = (torch.full_like(mu, 40.0), torch.full_like(mu, -20.0))
    mu = mu.detach().requires_grad_()
    z, divergence = sampled(mu, logvar, noise, WEIGHTS, old)
    (gradient,) = torch.autograd.grad(divergence.sum() + z.sum(), mu)
    for part in (z, divergence, gradient):
        assert torch.isfinite(part).all()
