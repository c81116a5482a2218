"""One step of RecVAE: the gradient of the plain equations, for the side that is trained and for nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from distrecvae.kernels.composite_prior import kl_divergence
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.recvae import RecVAE, RecVAEConfig, new_encoder
from distrecvae.training.schemes import update
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.batches import Batch
from distrecvae.training.schemes.noise import CountedNoise, Place
from distrecvae.training.schemes.update import Sides, Update, old_posterior_bytes
from tests.training.schemes.test_alternating import SMALL, random_train


def test_keeping_q_olds_posterior_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def train() -> dict[str, torch.Tensor]:
        trainer = AlternatingTrainer(SMALL, random_train(), seed=1, dtype=torch.float64)
        trainer.step()
        trainer.step()
        return trainer.state_dict()

    kept = train()
    monkeypatch.setattr(update, "OLD_POSTERIOR_BYTES", 0)
    computed = train()
    for name, value in kept.items():
        torch.testing.assert_close(computed[name], value, rtol=1e-9, atol=1e-12)


def test_q_old_is_not_computed_without_its_component(monkeypatch: pytest.MonkeyPatch) -> None:
    config = dataclasses.replace(SMALL, mixture_weights=(0.9, 0.0, 0.1))
    trainer = AlternatingTrainer(config, random_train(), seed=1)
    monkeypatch.setattr(trainer._old, "posterior", lambda *_: pytest.fail("q_old was computed"))
    trainer.step()


def test_the_first_update_follows_the_gradient_of_the_plain_equations() -> None:
    """One joint step against float64 autograd of dense rows; Adam's first step is the gradient's sign."""
    config = dataclasses.replace(SMALL, alternating=False, batch_size=100)
    train = random_train()
    trainer = AlternatingTrainer(config, train, seed=4, dtype=torch.float64)
    model, old, noise = trainer.model, trainer._old, CountedNoise(4, torch.device("cpu"))
    place = Place(0, 0, 0)
    order = noise.order(place, train.n_users)
    x = torch.from_numpy(train.to_scipy().toarray()).double()[order]
    kept = torch.zeros_like(x)
    kept[x > 0] = noise.kept(place, train.n_interactions, 0.5).double()
    parameters = {name: p.detach().clone() for name, p in model.named_parameters()}

    norms = x.norm(dim=1, keepdim=True).clamp(min=1)
    encoder = model.encoder
    mu, logvar = encoder((x / norms * kept * 2) @ encoder.fc1.weight + encoder.fc1.bias)
    z = mu + noise.normal(place, (40, 4), torch.float64) * (logvar / 2).exp()
    kl = kl_divergence(
        z, mu, logvar, config.mixture_weights, old.posterior(SparseRows.from_matrix(train).take(order))
    )
    log_likelihood = (torch.log_softmax(z @ model.decoder.weight.T + model.decoder.bias, dim=1) * x).sum(
        dim=1
    )
    loss = (0.005 * x.sum(dim=1) * kl - log_likelihood).mean()
    gradients = dict(zip(parameters, torch.autograd.grad(loss, list(model.parameters())), strict=True))

    losses = trainer.step()
    assert losses["loss"] == pytest.approx(float(loss.detach()), rel=1e-9)
    for name, parameter in model.named_parameters():
        gradient = gradients[name]
        expected = parameters[name] - config.learning_rate * gradient / (gradient.abs() + 1e-8)
        clear = gradient.abs() > 1e-9
        torch.testing.assert_close(parameter.detach()[clear], expected[clear], rtol=1e-5, atol=1e-8)


class Steps:
    """An update of all users as one batch, and what it changed."""

    def __init__(self, **settings: Any) -> None:
        config = dataclasses.replace(SMALL, batch_size=100, **settings)
        torch.manual_seed(0)
        self.rows = SparseRows.from_matrix(random_train())
        self.model = RecVAE(config, 25).double()
        self.old = new_encoder(config, 25).double().requires_grad_(False)
        self.update = Update(config, self.rows, self.model, self.old, "float32")
        beta = None if config.beta is None else torch.tensor(config.beta, dtype=torch.float64)
        generator = torch.Generator().manual_seed(1)
        self.batch = Batch(
            users=torch.randperm(40, generator=generator),
            kept=torch.rand(self.rows.items.numel(), generator=generator) < 0.5,
            noise=torch.randn(40, 4, generator=generator, dtype=torch.float64),
            beta=beta,
            n_places=self.rows.items.numel(),
            padded=False,
        )

    def take(self, sides: Sides) -> tuple[list[float], set[str]]:
        before = {name: value.clone() for name, value in self.model.named_parameters()}
        losses = self.update(self.batch, sides)
        assert losses.dtype == torch.float64
        after = self.model.named_parameters()
        return losses.tolist(), {n.split(".")[0] for n, value in after if not torch.equal(before[n], value)}


@pytest.mark.parametrize("architecture", ["dense", "mlp"])
@pytest.mark.parametrize(
    ("sides", "changed"),
    [
        (Sides(True, False, True), {"encoder"}),
        (Sides(False, True, True), {"decoder"}),
        (Sides(True, True, True), {"encoder", "decoder"}),
    ],
)
def test_a_step_trains_its_sides_and_nothing_else(sides: Sides, changed: set[str], architecture: str) -> None:
    steps = Steps(architecture=architecture)
    old = {name: value.clone() for name, value in steps.old.state_dict().items()}
    (nll, kl), found = steps.take(sides)
    assert found == changed
    assert nll > 0
    assert (kl != 0) == sides.encoder, "a decoder's step computes no KL term"
    assert all(torch.equal(old[name], value) for name, value in steps.old.state_dict().items())
    taken = [
        {float(state["step"]) for state in optimizer.state.values()} for optimizer in steps.update.optimizers
    ]
    assert taken == [{float(sides.encoder)}, {float(sides.decoder)}]


def test_a_decoders_step_computes_neither_prior_nor_old_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps()
    monkeypatch.setattr(update, "sampled", lambda *_: pytest.fail("the KL term was computed"))
    monkeypatch.setattr(steps.old, "posterior", lambda *_: pytest.fail("q_old was computed"))
    steps.take(Sides(encoder=False, decoder=True, first=True))


def test_q_old_is_computed_in_a_cycles_first_pass_and_looked_up_in_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps, calls = Steps(), []
    posterior = steps.old.posterior

    def counted(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(given)
        return posterior(*given)

    monkeypatch.setattr(steps.old, "posterior", counted)
    for first in (True, False, False, True):
        steps.take(Sides(encoder=True, decoder=False, first=first))
    assert len(calls) == 2


def test_beta_weighs_every_users_divergence_alike_and_gamma_by_interactions() -> None:
    found = {}
    for name, settings in (("gamma", {"gamma": 0.01}), ("beta", {"gamma": None, "beta": 0.2})):
        steps = Steps(**settings)
        rows = steps.rows.take(steps.batch.users)
        assert steps.batch.kept is not None
        values = rows.unit_values(torch.float64) * steps.batch.kept * 2
        with torch.no_grad():
            mu, logvar = steps.model.encoder(steps.model.encoder.preactivation(rows, values))
            z = mu + steps.batch.noise * (logvar / 2).exp()
            kl = kl_divergence(z, mu, logvar, SMALL.mixture_weights, steps.old.posterior(rows))
        weight = 0.01 * rows.counts.double() if name == "gamma" else torch.full((40,), 0.2).double()
        (_, found[name]), _ = steps.take(Sides(encoder=True, decoder=False, first=True))
        assert found[name] == pytest.approx(float((weight * kl).sum()), rel=1e-6)
    assert found["gamma"] != pytest.approx(found["beta"])


@pytest.mark.parametrize(
    ("settings", "n_users", "expected"),
    [
        ({}, 1000, 2 * 1000 * 4 * 4),
        ({}, 0, 0),
        ({"mixture_weights": (0.9, 0.0, 0.1)}, 1000, 0),  # q_old is no part of the prior
        ({"alternating": False}, 1000, 0),  # one pass a cycle: nothing is used again
        ({"encoder_passes": 1}, 1000, 0),
        ({"encoder_passes": 2}, 1000, 2 * 1000 * 4 * 4),
        ({}, 1 << 25, 1 << 30),
        ({}, (1 << 25) + 1, 0),  # it is computed again rather than kept
    ],
)
def test_q_olds_posterior_is_kept_where_it_is_used_again_and_fits(
    settings: dict[str, Any], n_users: int, expected: int
) -> None:
    config = RecVAEConfig(latent_dim=4, **settings)
    assert old_posterior_bytes(config, n_users, 4) == expected
