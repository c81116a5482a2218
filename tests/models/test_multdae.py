"""Mult-DAE: its loss and every gradient against the paper's equation, dense and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import ConfigError
from distrecvae.models.multdae import MultDAE, MultDAEConfig
from tests.kernels.test_layers import MATRIX, N_ITEMS, ROWS, Fixed, X, counted, dense_input
from tests.models.test_multvae import log_likelihood, same_gradients


def test_it_minimizes_the_papers_equation() -> None:
    torch.manual_seed(0)
    network = MultDAE(MultDAEConfig(hidden_dim=7, latent_dim=3), N_ITEMS).double()
    found = network.loss(ROWS, Fixed(), counted(0))["loss"]

    def logits(x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(x @ network.first.weight + network.first.bias)
        return network.items(torch.tanh(network.hidden(torch.tanh(network.code(hidden)))))  # type: ignore[no-any-return]

    expected = -log_likelihood(logits(dense_input(0.5)))
    torch.testing.assert_close(found, expected)
    same_gradients(network, found, expected)
    torch.testing.assert_close(network.score(MATRIX), logits(dense_input(0.0)).detach().float())


def test_its_penalty_is_the_squares_of_weights() -> None:
    config = MultDAEConfig(hidden_dim=3, latent_dim=2, regularization=0.1)
    network = MultDAE(config, N_ITEMS)
    weight = network.code.weight
    penalty = config.regularization * weight.square().sum()
    (gradient,) = torch.autograd.grad(penalty, weight)
    torch.testing.assert_close(gradient, network.weight_decay * weight.detach())


def network(low: torch.dtype | None = None, **settings: Any) -> MultDAE:
    torch.manual_seed(0)
    return MultDAE(MultDAEConfig(hidden_dim=7, latent_dim=3, **settings), N_ITEMS, low)


def test_rows_with_a_place_for_every_item_score_the_same() -> None:
    model = network().double()
    torch.testing.assert_close(model.dense_scores(X).detach().float(), model.score(MATRIX))


def test_scores_are_float32_and_of_every_item_also_for_a_user_of_none() -> None:
    model = network().double()
    scores = model.score(InteractionMatrix.from_pairs([], [], n_users=2, n_items=N_ITEMS))
    assert (scores.dtype, tuple(scores.shape), model.n_items) == (torch.float32, (2, N_ITEMS), N_ITEMS)
    assert torch.isfinite(scores).all()
    assert not scores.requires_grad


def test_the_loss_does_not_depend_on_the_updates_taken() -> None:
    model = network()
    losses = [float(model.loss(ROWS, Fixed(), counted(updates))["loss"].detach()) for updates in (0, 10**6)]
    assert losses[0] == losses[1]


def test_rounding_is_of_training_alone() -> None:
    exact, low = network(), network(torch.bfloat16)
    assert torch.equal(exact.score(MATRIX), low.score(MATRIX))
    losses = [float(model.loss(ROWS, Fixed(), counted(0))["loss"].detach()) for model in (exact, low)]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=2.0**-6)


def test_the_first_parameters_are_drawn_as_published() -> None:
    model = MultDAE(MultDAEConfig(hidden_dim=60, latent_dim=20), 200)
    for name, parameter in model.named_parameters():
        largest = float(parameter.detach().abs().max())
        if name.endswith("bias"):
            assert 0 < largest <= 0.002, name
        else:
            assert 0.9 * np.sqrt(6 / sum(parameter.shape)) < largest <= np.sqrt(6 / sum(parameter.shape)), (
                name
            )


def test_the_defaults_are_the_papers() -> None:
    published = MultDAEConfig()
    assert published.PUBLISHED
    assert (published.hidden_dim, published.latent_dim, published.dropout) == (600, 200, 0.5)
    assert (published.learning_rate, published.batch_size) == (1e-3, 500)
    # The published code adds 0.01 / batch_size times TensorFlow's l2_loss, doubled: |w|^2.
    assert published.regularization * published.batch_size == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regularization": float("nan")}, "regularization is nan"),
        ({"regularization": -1}, "regularization is -1; it must be a finite number at least 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"hidden_dim": 1.5}, "hidden_dim is 1.5; it must be a whole number"),
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"dropout": 1}, "dropout is 1; it must be a number from 0 to below 1"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be a finite number above 0"),
    ],
)
def test_a_broken_rule_is_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        MultDAEConfig(**settings)
    assert "\n" not in str(caught.value)
