"""Mult-VAE: its losses and every gradient against the paper's equations, dense and in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.multvae import MultVAE, MultVAEConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted, dense_input


def log_likelihood(logits: torch.Tensor) -> torch.Tensor:
    return (torch.log_softmax(logits, dim=1) * X).sum(dim=1).mean()


def same_gradients(network: torch.nn.Module, found: torch.Tensor, expected: torch.Tensor) -> None:
    parameters = list(network.parameters())
    for mine, true in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(mine, true, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("updates", "beta"), [(0, 0.0), (30, 0.1), (300, 0.2)])
def test_multvae_minimizes_the_papers_equation(updates: int, beta: float) -> None:
    torch.manual_seed(0)
    config = MultVAEConfig(hidden_dim=7, latent_dim=3, anneal_updates=300)
    network = MultVAE(config, N_ITEMS).double()
    found = network.loss(ROWS, Fixed(), counted(updates))

    hidden = torch.tanh(dense_input(0.5) @ network.first.weight + network.first.bias)
    mu, logvar = network.posterior(hidden).chunk(2, dim=1)
    z = mu + torch.exp(logvar / 2)  # the noise is one
    logits = network.items(torch.tanh(network.hidden(z)))
    posterior = torch.distributions.Normal(mu, torch.exp(logvar / 2))
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    kl = beta * divergence.sum(dim=1).mean()
    expected = kl - log_likelihood(logits)
    torch.testing.assert_close(found["loss"], expected)
    torch.testing.assert_close(found["nll"], -log_likelihood(logits))
    torch.testing.assert_close(found["kl"], kl)
    same_gradients(network, found["loss"], expected)


def test_multvae_scores_from_the_mean_of_the_posterior_and_all_items() -> None:
    network = MultVAE(MultVAEConfig(hidden_dim=7, latent_dim=3), N_ITEMS).double()
    hidden = torch.tanh(dense_input(0.0) @ network.first.weight + network.first.bias)
    mu = network.posterior(hidden)[:, :3]
    expected = network.items(torch.tanh(network.hidden(mu))).detach().float()
    torch.testing.assert_close(network.score(MATRIX), expected)


def test_beta_without_annealing_is_there_from_the_start() -> None:
    network = MultVAE(MultVAEConfig(hidden_dim=4, latent_dim=2, anneal_updates=0, beta=0.5), N_ITEMS)
    free = MultVAE(MultVAEConfig(hidden_dim=4, latent_dim=2, anneal_updates=0, beta=0.0), N_ITEMS)
    assert float(network.loss(ROWS, Fixed(), counted(0))["kl"].detach()) > 0
    assert float(free.loss(ROWS, Fixed(), counted(0))["kl"].detach()) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -1}, "beta is -1; it must be a finite number at least 0"),
        ({"anneal_updates": 1.5}, "anneal_updates is 1.5; it must be a whole number"),
        ({"dropout": 1}, "dropout is 1; it must be a number from 0 to below 1"),
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"adam_beta2": 1.0}, "adam_beta2 is 1.0; it must be a number from 0 to below 1"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MultVAEConfig(**settings)
