"""aWAE: costs, losses and every gradient against the equations, dense and in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.awae import AWAE, AWAEConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted, dense_input
from tests.models.test_multvae import log_likelihood, same_gradients


def network(**settings: Any) -> AWAE:
    torch.manual_seed(0)
    config = AWAEConfig(
        hidden_dim=7, latent_dim=3, discriminator_dim=5, adversarial=0.7, sparsity=0.2, **settings
    )
    return AWAE(config, N_ITEMS).double()


def plain(model: AWAE, dropout: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    """Return z and the logits, dense."""
    coder = model.autoencoder
    z = coder.code(torch.tanh(dense_input(dropout) @ coder.first.weight + coder.first.bias))
    return z, torch.tanh(coder.hidden(z)) @ coder.items.weight.T + coder.items.bias


def plain_cost(logits: torch.Tensor, positive_weight: float | None) -> torch.Tensor:
    if positive_weight is None:
        return -log_likelihood(logits)
    chance = torch.sigmoid(logits)
    cells = positive_weight * X * torch.log(chance) + (1 - X) * torch.log(1 - chance)
    return -cells.sum(dim=1).mean()


@pytest.mark.parametrize("positive_weight", [None, 4.0])
def test_the_autoencoder_minimizes_the_cost_and_its_distance_from_the_prior(
    positive_weight: float | None,
) -> None:
    model = network(positive_weight=positive_weight)
    found = model.losses(ROWS, Fixed(), counted(0))
    z, logits = plain(model)
    cost = plain_cost(logits, positive_weight)
    verdict = torch.sigmoid(model.discriminator(z))
    expected = cost - 0.7 * torch.log(verdict).mean() + 0.2 * z.abs().sum(dim=1).mean()
    torch.testing.assert_close(found["cost"], cost)
    torch.testing.assert_close(found["loss"], expected)
    torch.testing.assert_close(found["cost"] + found["adversarial"] + found["l1"], expected)
    same_gradients(model.autoencoder, found["loss"], expected)


def test_the_discriminator_tells_codes_from_the_prior_and_leaves_the_encoder_alone() -> None:
    model = network()
    found = model.losses(ROWS, Fixed(), counted(0))["discriminator_loss"]
    z, _ = plain(model)
    prior = torch.ones(z.shape, dtype=torch.float64)  # the noise is one
    true, false = torch.sigmoid(model.discriminator(prior)), torch.sigmoid(model.discriminator(z.detach()))
    expected = -(torch.log(true) + torch.log(1 - false)).mean()
    torch.testing.assert_close(found, expected)
    same_gradients(model.discriminator, found, expected)
    again = model.losses(ROWS, Fixed(), counted(0))["discriminator_loss"]
    untouched = torch.autograd.grad(again, list(model.autoencoder.parameters()), allow_unused=True)
    assert all(gradient is None for gradient in untouched)


def test_scores_are_the_logits_of_all_items_without_denoising() -> None:
    model = network()
    torch.testing.assert_close(model.scorer.score(MATRIX), plain(model, 0.0)[1].detach().float())


def test_each_side_has_its_own_optimizer() -> None:
    (phase,) = network(learning_rate=0.1, discriminator_learning_rate=0.3).phases()
    assert phase.passes is None
    assert [(o.part, o.loss, o.learning_rate) for o in phase.objectives] == [
        ("autoencoder", "loss", 0.1),
        ("discriminator", "discriminator_loss", 0.3),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"positive_weight": 0}, "positive_weight is 0; it must be a finite number above 0"),
        ({"adversarial": -1}, "adversarial is -1; it must be a finite number at least 0"),
        ({"sparsity": float("inf")}, "sparsity is inf"),
        ({"discriminator_dim": 0}, "discriminator_dim is 0; it must be a whole number of at least 1"),
        ({"discriminator_learning_rate": 0}, "discriminator_learning_rate is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AWAEConfig(**settings)
