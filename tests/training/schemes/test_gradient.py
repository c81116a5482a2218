"""Gradient training: a step is Adam's along the network's own loss; what holds for each is in `test_passes.py`."""

from __future__ import annotations

import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import Draws
from distrecvae.kernels.sparse import SparseRows
from distrecvae.models.cdae import CDAE, CDAEConfig
from distrecvae.training import registry
from distrecvae.training.schemes.gradient import GradientTrainer, UserNetwork
from tests.training.schemes.test_alternating import random_train


class Slope(torch.nn.Module):
    """A network whose loss falls with its weight, and that knows how many updates came before."""

    weight_decay, n_items = 0.0, 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, 1))
        self.counted: list[int] = []

    def loss(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        self.counted.append(int(updates))
        return {"loss": -self.weight.sum(), "users": torch.tensor(float(rows.n_rows))}


def test_a_batch_is_an_update_of_adam_and_updates_are_counted_over_passes() -> None:
    network, train = Slope(), InteractionMatrix.from_pairs(range(5), [0] * 5, n_users=5, n_items=3)
    trainer = GradientTrainer(lambda: network, train, batch_size=2, learning_rate=0.1, seed=0)
    reports = [trainer.step() for _ in range(2)]
    assert network.counted == [0, 1, 2, 3, 4, 5]
    # The gradient is always -1, so each of six steps is the rate.
    torch.testing.assert_close(network.weight.detach(), torch.full((1, 1), 0.6))
    assert reports[0]["users"] == (2 * 2 + 2 * 2 + 1 * 1) / 5, "a mean over users, not over batches"


def test_networks_say_whether_they_have_vectors() -> None:
    assert isinstance(CDAE(CDAEConfig(hidden_dim=4), 3), UserNetwork)
    trainer = registry.make_trainer(
        "multdae", registry.config_from_dict("multdae", {"hidden_dim": 4}), random_train(), seed=0
    )
    assert not any(name.startswith("users/") for name in trainer.state_dict())


def test_a_models_own_decay_of_the_second_moment_is_adams() -> None:
    # NVIDIA's Mult-VAE has 0.9. The first step is the same whatever it is; the second is not.
    weights: dict[float, list[torch.Tensor]] = {0.999: [], 0.9: []}
    for beta2, after in weights.items():
        config = registry.config_from_dict("multvae", {"hidden_dim": 4, "latent_dim": 2, "adam_beta2": beta2})
        trainer = registry.make_trainer("multvae", config, random_train(), seed=0)
        for _ in range(2):
            trainer.step()
            after.append(trainer.model_state()["items.weight"])
    assert torch.equal(weights[0.999][0], weights[0.9][0])
    assert not torch.equal(weights[0.999][1], weights[0.9][1])
