"""RecVAE: the published step, the settings' rules, the ablation's configurations, adversarial sizes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, ConfigError
from distrecvae.kernels.composite_prior import kl_divergence, log_prior
from distrecvae.kernels.multinomial import Multinomial
from distrecvae.kernels.sparse import SparseRows, scatter_sum
from distrecvae.models.recvae import RecVAE, RecVAEConfig, load_recvae, new_encoder
from tests.golden import Golden, recvae_step

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
WEIGHTS = (3 / 20, 3 / 4, 1 / 10)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return recvae_step()


def near(found: torch.Tensor, expected: Any, tolerance: float) -> None:
    """Hold `found` to the golden value, relative to that array's own size."""
    true = torch.as_tensor(expected, dtype=torch.float64)
    error = (found.double() - true).abs().max()
    assert error <= tolerance * true.abs().max(), f"off by {error:.3g}"


class Step:
    """The golden step, taken with the package's own parts."""

    def __init__(self, golden: Golden, dtype: torch.dtype) -> None:
        arrays = golden.arrays
        config = RecVAEConfig(hidden_dim=24, latent_dim=8)
        users, items = np.nonzero(arrays["x"])
        matrix = InteractionMatrix.from_pairs(users, items, n_users=12, n_items=50)
        self.rows = SparseRows.from_matrix(matrix)
        self.model = RecVAE(config, 50).to(dtype)
        self.old = new_encoder(config, 50).to(dtype)
        parameters = golden.tensors("init")
        for side, module in (
            ("encoder", self.model.encoder),
            ("encoder_old", self.old),
            ("decoder", self.model.decoder),
        ):
            names = {
                name: name.removeprefix(f"{side}/") for name in parameters if name.startswith(f"{side}/")
            }
            module.load_state_dict({short: parameters[name] for name, short in names.items()})
        self.values = self.rows.unit_values(dtype)
        encoder = self.model.encoder
        self.preactivation = encoder.preactivation(self.rows, self.values).detach().requires_grad_()
        self.mu, self.logvar = encoder(self.preactivation)
        self.z = self.mu + torch.from_numpy(arrays["eps"]).to(dtype) * (self.logvar / 2).exp()
        self.posterior_old = self.old.posterior(self.rows)
        self.kl = kl_divergence(self.z, self.mu, self.logvar, WEIGHTS, self.posterior_old)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_posterior_code_and_prior_are_the_published_ones(golden: Golden, dtype: torch.dtype) -> None:
    step = Step(golden, dtype)
    near(step.mu, golden.arrays["mu"], TOLERANCE[dtype])
    near(step.logvar, golden.arrays["logvar"], TOLERANCE[dtype])
    near(step.z, golden.arrays["z"], TOLERANCE[dtype])
    prior = log_prior(step.z, WEIGHTS, step.posterior_old)
    near(prior, golden.arrays["log_prior"], TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_losses_and_every_gradient_are_the_published_ones(golden: Golden, dtype: torch.dtype) -> None:
    step, tolerance, arrays = Step(golden, dtype), TOLERANCE[dtype], golden.arrays
    decoder = step.model.decoder
    gradients = {name: torch.empty_like(value) for name, value in decoder.named_parameters()}
    code_gradient = torch.empty_like(step.z)
    nll = Multinomial(items_a_block=5).loss_and_gradients(
        step.rows,
        step.z.detach(),
        decoder.weight.detach(),
        decoder.bias.detach(),
        code_gradient=code_gradient,
        weight_gradient=gradients["weight"],
        bias_gradient=gradients["bias"],
    )
    kl = (float(arrays["gamma"]) * step.rows.counts.to(dtype) * step.kl).mean()
    near(-nll.mean(), arrays["mll"], tolerance)
    near(kl, arrays["kld"], tolerance)
    near(nll.mean() + kl, arrays["negative_elbo"], tolerance)
    near((float(arrays["beta"]) * step.kl).mean(), arrays["kld_beta"], tolerance)
    near(nll.mean() + (float(arrays["beta"]) * step.kl).mean(), arrays["negative_elbo_beta"], tolerance)

    torch.autograd.backward([step.z, kl], [code_gradient, torch.ones_like(kl)])
    assert step.preactivation.grad is not None
    first = torch.empty_like(step.model.encoder.fc1.weight)
    scatter_sum(step.rows, step.values, step.preactivation.grad, out=first)
    found = {f"decoder/{name}": value for name, value in gradients.items()}
    found |= {
        f"encoder/{name}": p.grad for name, p in step.model.encoder.named_parameters() if p.grad is not None
    }
    found |= {"encoder/fc1.weight": first, "encoder/fc1.bias": step.preactivation.grad.sum(dim=0)}
    expected = golden.tensors("grad")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        near(found[name], value, tolerance)


def test_scores_are_the_logits_at_the_mean(golden: Golden) -> None:
    step = Step(golden, torch.float64)
    users, items = np.nonzero(golden.arrays["x"])
    matrix = InteractionMatrix.from_pairs(users, items, n_users=12, n_items=50)
    weight, bias = golden.arrays["init/decoder/weight"], golden.arrays["init/decoder/bias"]
    scores = step.model.score(matrix)
    assert scores.dtype == torch.float32
    near(scores, golden.arrays["mu"] @ weight.T + bias, 1e-6)
    # A user's scores do not depend on who else is scored.
    torch.testing.assert_close(step.model.score(matrix.slice(3, 5)), scores[3:5])


def test_a_user_without_interactions_is_scored_from_the_bias() -> None:
    model = RecVAE(RecVAEConfig(hidden_dim=6, latent_dim=2), 9)
    nobody = InteractionMatrix.from_pairs([], [], n_users=2, n_items=9)
    assert torch.isfinite(model.score(nobody)).all()


def test_the_published_configuration_is_the_default() -> None:
    config = RecVAEConfig()
    assert (config.hidden_dim, config.latent_dim, config.dropout) == (600, 200, 0.5)
    assert (config.gamma, config.beta, config.mixture_weights) == (0.005, None, (0.15, 0.75, 0.1))
    assert (config.encoder_passes, config.decoder_passes, config.alternating) == (3, 1, True)
    assert (config.learning_rate, config.batch_size) == (5e-4, 500)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"beta": 0.2},
            "gamma=0.005 and beta=0.2 are given; exactly one of gamma and beta .* pass gamma=None",
        ),
        ({"gamma": None}, "neither is given; exactly one of gamma and beta"),
        ({"gamma": -0.1}, "gamma is -0.1; it must be a finite number at least 0"),
        ({"gamma": math.nan}, "gamma is nan"),
        ({"anneal_updates": 10}, "only beta is annealed"),
        ({"hidden_dim": 0}, "hidden_dim is 0; it must be a whole number of at least 1"),
        ({"latent_dim": 2.5}, "latent_dim is 2.5"),
        ({"batch_size": True}, "batch_size is True"),
        ({"encoder_passes": 0}, "encoder_passes is 0"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be a number from 0 to below 1"),
        ({"dropout": "half"}, "dropout is 'half'"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a finite number above 0"),
        ({"alternating": 1}, "alternating is 1; it must be true or false"),
        (
            {"architecture": "dens"},
            "architecture is 'dens'; it must be one of dense, mlp; did you mean 'dense'",
        ),
        ({"mixture_weights": (0.5, 0.5)}, "it must be three weights"),
        ({"mixture_weights": (0.5, 0.6, 0.1)}, "sum to 1.2; they must sum to 1"),
        ({"mixture_weights": (0.0, 0.0, 0.0)}, "sum to 0"),
        ({"mixture_weights": (1.5, -0.5, 0.0)}, "a weight of mixture_weights is -0.5"),
        ({"mixture_weights": ("a", 0.5, 0.5)}, "a weight of mixture_weights is 'a'"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RecVAEConfig(**settings)
    assert "\n" not in str(caught.value)


def test_a_list_of_weights_becomes_a_tuple_so_that_configurations_hash() -> None:
    config = RecVAEConfig(mixture_weights=[1, 0, 0])  # type: ignore[arg-type]
    assert config.mixture_weights == (1.0, 0.0, 0.0)
    assert hash(config) == hash(dataclasses.replace(config))


def test_parameters_start_like_the_layers_of_pytorch() -> None:
    torch.manual_seed(0)
    model = RecVAE(RecVAEConfig(hidden_dim=64, latent_dim=16), 400)
    first, decoder = model.encoder.fc1, model.decoder
    for parameter, fan_in in (
        (first.weight, 400),
        (first.bias, 400),
        (decoder.weight, 16),
        (decoder.bias, 16),
    ):
        bound = 1 / math.sqrt(fan_in)
        values = parameter.detach()
        assert float(values.abs().max()) <= bound
        assert float(values.std()) == pytest.approx(bound / math.sqrt(3), rel=0.2)


def test_multvae_has_one_tanh_layer_on_each_side() -> None:
    config = RecVAEConfig(architecture="mlp", hidden_dim=5, latent_dim=2)
    shapes = {name: tuple(p.shape) for name, p in RecVAE(config, 7).named_parameters()}
    assert shapes == {
        "encoder.fc1.weight": (7, 5),
        "encoder.fc1.bias": (5,),
        "encoder.fc_mu.weight": (2, 5),
        "encoder.fc_mu.bias": (2,),
        "encoder.fc_logvar.weight": (2, 5),
        "encoder.fc_logvar.bias": (2,),
        "decoder.hidden.weight": (5, 2),
        "decoder.hidden.bias": (5,),
        "decoder.weight": (7, 5),
        "decoder.bias": (7,),
    }


def test_loading_gives_the_same_scores_and_refuses_other_shapes() -> None:
    config = RecVAEConfig(hidden_dim=6, latent_dim=3)
    model = RecVAE(config, 9)
    fold_in = InteractionMatrix.from_pairs([0, 0, 1], [1, 4, 8], n_users=2, n_items=9)
    loaded = load_recvae(config, 9, model.state_dict())
    assert torch.equal(loaded.score(fold_in), model.score(fold_in))
    assert loaded.n_items == 9
    with pytest.raises(CheckpointError, match="do not fit the configuration"):
        load_recvae(dataclasses.replace(config, latent_dim=4), 9, model.state_dict())
    with pytest.raises(CheckpointError, match="do not fit the configuration"):
        load_recvae(config, 10, model.state_dict())
