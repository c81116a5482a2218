"""NBVAE: its loss and every gradient against the paper's equations, dense and in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.nbvae import LIKELIHOODS, NBVAE, NBVAEConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted, dense_input
from tests.kernels.test_negative_binomial import true_loss
from tests.models.test_multvae import same_gradients


def new_network(likelihood: str) -> NBVAE:
    torch.manual_seed(0)
    config = NBVAEConfig(hidden_dim=7, latent_dim=3, anneal_updates=300, likelihood=likelihood)
    return NBVAE(config, N_ITEMS).double()


def logits(network: NBVAE, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = (torch.tanh(hidden(z)) for hidden in (network.r_hidden, network.p_hidden))
    return network.r_items(a), network.p_items(b)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("updates", "beta"), [(0, 0.0), (30, 0.1), (300, 0.2)])
def test_it_minimizes_the_papers_equation(likelihood: str, updates: int, beta: float) -> None:
    network = new_network(likelihood)
    found = network.loss(ROWS, Fixed(), counted(updates))
    hidden = torch.tanh(dense_input(0.5) @ network.first.weight + network.first.bias)
    mu, logvar = network.posterior(hidden).chunk(2, dim=1)
    z = mu + torch.exp(logvar / 2)  # the noise is one
    nll = true_loss(likelihood, *logits(network, z), X).sum(dim=1).mean()
    posterior = torch.distributions.Normal(mu, torch.exp(logvar / 2))
    divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0))
    kl = beta * divergence.sum(dim=1).mean()
    torch.testing.assert_close(found["nll"], nll)
    torch.testing.assert_close(found["kl"], kl)
    torch.testing.assert_close(found["loss"], nll + kl)
    same_gradients(network, found["loss"], nll + kl)


def test_scores_order_items_by_their_probability_at_the_mean_of_the_posterior() -> None:
    network = new_network("bernoulli")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    hidden = torch.tanh(dense_input(0.0) @ network.first.weight + network.first.bias)
    a, b = logits(network, network.posterior(hidden)[:, :3])
    chance = 1 - (1 - torch.sigmoid(b)) ** a.exp()
    scores = network.score(MATRIX)
    torch.testing.assert_close(1 - (-scores.exp()).exp(), chance.detach().float())
    assert torch.equal(scores.argsort(dim=1), chance.argsort(dim=1))


def test_scores_of_counts_are_logarithms_of_their_means() -> None:
    network = new_network("negative_binomial")
    hidden = torch.tanh(dense_input(0.0) @ network.first.weight + network.first.bias)
    a, b = logits(network, network.posterior(hidden)[:, :3])
    expected = (a.exp() * torch.sigmoid(b)).log().detach().float()
    torch.testing.assert_close(network.score(MATRIX), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"likelihood": "bernouli"}, "must be one of bernoulli, negative_binomial; did you mean 'bernoulli'"),
        ({"beta": -1}, "beta is -1; it must be a finite number at least 0"),
        ({"anneal_updates": -1}, "anneal_updates is -1; it must be a whole number of at least 0"),
        ({"hidden_dim": 0}, "hidden_dim is 0"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NBVAEConfig(**settings)
