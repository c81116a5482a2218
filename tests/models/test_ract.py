"""RaCT: features and targets by hand, every gradient against the paper's equations, dense and in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from distrecvae.errors import ConfigError
from distrecvae.models.multvae import MultVAE
from distrecvae.models.ract import CRITIC_PENALTY, NORMALIZER_EPS, RaCT, RaCTConfig
from distrecvae.training.schemes.withheld import withheld_ndcg
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted, dense_input
from tests.models.test_multvae import same_gradients

KEPT = Fixed().kept(MATRIX.n_interactions, 0.5)


def network() -> RaCT:
    torch.manual_seed(0)
    config = RaCTConfig(hidden_dim=7, latent_dim=3)
    return RaCT(config, N_ITEMS, judge=withheld_ndcg).double()


def plain_logits(actor: MultVAE) -> torch.Tensor:
    """Return the logits of Mult-VAE's equations, dense; the noise is one."""
    hidden = torch.tanh(dense_input(0.5) @ actor.first.weight + actor.first.bias)
    mu, logvar = actor.posterior(hidden).chunk(2, dim=1)
    code = torch.tanh(actor.hidden(mu + torch.exp(logvar / 2)))
    return code @ actor.items.weight.T + actor.items.bias


def plain_features(actor: MultVAE) -> torch.Tensor:
    seen = (dense_input(0.5) > 0).double()
    error = -(torch.log_softmax(plain_logits(actor), dim=1) * X).sum(dim=1)
    return torch.stack([seen.sum(dim=1), (X - seen).sum(dim=1), error], dim=1)


def plain_ndcg(logits: torch.Tensor) -> list[float]:
    """Return the NDCG@100 of the withheld items, user by user, rank by rank."""
    found = []
    for scores, row, seen in zip(logits.detach(), X, dense_input(0.5) > 0, strict=True):
        order = sorted((i for i in range(N_ITEMS) if not seen[i]), key=lambda i: -float(scores[i]))
        withheld = [i for i in range(N_ITEMS) if row[i] and not seen[i]]
        gained = sum(1 / math.log2(rank + 2) for rank, item in enumerate(order) if item in withheld)
        best = sum(1 / math.log2(rank + 2) for rank in range(len(withheld)))
        found.append(gained / best if withheld else 0.0)
    return found


def plain_critic(model: RaCT, h: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    h = (h - mean) / torch.sqrt(variance + NORMALIZER_EPS)
    first, second, third, last = model.critic.layers
    return torch.sigmoid(last(torch.relu(third(torch.relu(second(torch.relu(first(h)))))))).squeeze(1)


def batch_statistics(h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return h.detach().mean(dim=0), h.detach().var(dim=0, correction=0)


def test_features_and_targets_are_the_papers() -> None:
    model = network()
    h, ndcg = (part.detach() for part in model._features(ROWS, Fixed()))
    torch.testing.assert_close(h, plain_features(model.actor).detach())
    logits = plain_logits(model.actor)
    torch.testing.assert_close(ndcg, torch.tensor(plain_ndcg(logits), dtype=torch.float64))
    assert 0 < float(ndcg.mean()) < 1
    assert float(h[:, :2].sum()) == MATRIX.n_interactions
    assert float(h[:, 0].sum()) == float(KEPT.sum())


def test_the_actor_is_trained_first_as_mult_vae() -> None:
    model = network()
    torch.manual_seed(0)
    alone = MultVAE(model._config.actor(), N_ITEMS).double()
    phase = model.phases()[0]
    mine, true = (
        phase.losses(ROWS, Fixed(), counted(30))["loss"],
        alone.loss(ROWS, Fixed(), counted(30))["loss"],
    )
    assert torch.equal(mine, true)
    for found, expected in zip(
        torch.autograd.grad(mine, list(model.actor.parameters())),
        torch.autograd.grad(true, list(alone.parameters())),
        strict=True,
    ):
        assert torch.equal(found, expected)


def test_the_critic_minimizes_its_squared_error() -> None:
    model = network()
    found = model.critic_losses(ROWS, Fixed(), counted(0))
    h = plain_features(model.actor)
    ndcg = torch.tensor(plain_ndcg(plain_logits(model.actor)), dtype=torch.float64)
    expected = (plain_critic(model, h.detach(), *batch_statistics(h)) - ndcg).square().mean()
    torch.testing.assert_close(found["critic_loss"], expected)
    torch.testing.assert_close(found["ndcg"], ndcg.mean())
    torch.testing.assert_close(found["nll"], h[:, 2].mean())
    same_gradients(model.critic, found["critic_loss"], expected)
    nothing = torch.autograd.grad(
        model.critic_losses(ROWS, Fixed(), counted(1))["critic_loss"],
        list(model.actor.parameters()),
        allow_unused=True,
    )
    assert all(gradient is None for gradient in nothing)


def test_the_actor_maximizes_the_critics_estimate_through_the_likelihood() -> None:
    model = network()
    model.critic_losses(ROWS, Fixed(), counted(0))  # the features' mean and variance
    found = model.joint_losses(ROWS, Fixed(), counted(0))
    h = plain_features(model.actor)
    omega = plain_critic(model, h, *batch_statistics(h))
    torch.testing.assert_close(found["actor_loss"], -omega.mean())
    same_gradients(model.actor, found["actor_loss"], -omega.mean())
    size = max(
        float(g.abs().max())
        for g in torch.autograd.grad(
            model.joint_losses(ROWS, Fixed(), counted(0))["actor_loss"], list(model.actor.parameters())
        )
    )
    assert size > 1e-6
    ndcg = torch.tensor(plain_ndcg(plain_logits(model.actor)), dtype=torch.float64)
    expected = (plain_critic(model, h.detach(), *batch_statistics(h)) - ndcg).square().mean()
    same_gradients(model.critic, found["critic_loss"], expected)


def test_features_are_normalized_by_what_the_pre_training_saw_and_that_stays() -> None:
    critic = network().critic
    batches = [torch.randn(5, 3, dtype=torch.float64) * 10 + 7 for _ in range(4)]
    for number, h in enumerate(batches):
        critic.observe(h, counted(number))
    torch.testing.assert_close(critic.mean, torch.cat(batches).mean(dim=0))
    torch.testing.assert_close(
        critic.variance, torch.stack([h.var(dim=0, correction=0) for h in batches]).mean(dim=0)
    )
    model = network()
    model.critic_losses(ROWS, Fixed(), counted(0))
    before = model.critic.mean.clone()
    with torch.no_grad():
        model.actor.items.bias.add_(torch.arange(N_ITEMS))
    model.joint_losses(ROWS, Fixed(), counted(5))
    assert torch.equal(model.critic.mean, before)


def test_phases_are_what_the_settings_say() -> None:
    config = RaCTConfig(actor_passes=3, critic_passes=2, batch_size=50)
    with torch.device("meta"):
        phases = RaCT(config, 4, judge=withheld_ndcg).phases()
    assert [phase.passes for phase in phases] == [3, 2, None]
    assert [[o.part for o in phase.objectives] for phase in phases] == [
        ["actor"],
        ["critic"],
        ["actor", "critic"],
    ]
    rates = [o.learning_rate for phase in phases for o in phase.objectives]
    assert rates == [1e-3, 1e-4, 2e-6, 1e-4]
    # The derivative of CRITIC_PENALTY |w|^2 / batch_size.
    assert phases[1].objectives[0].weight_decay == 2 * CRITIC_PENALTY / 50


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0}, "dropout is 0; it must be above 0: rankings are judged by what is withheld"),
        ({"dropout": 1}, "dropout is 1; it must be a number from 0 to below 1"),
        ({"actor_passes": 0}, "actor_passes is 0; it must be a whole number of at least 1"),
        ({"critic_passes": 2.5}, "critic_passes is 2.5; it must be a whole number"),
        ({"joint_learning_rate": 0}, "joint_learning_rate is 0; it must be a finite number above 0"),
        ({"beta": -1}, "beta is -1"),
        ({"hidden_dim": 0}, "hidden_dim is 0"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RaCTConfig(**settings)
