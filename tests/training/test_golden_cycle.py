"""The published implementation's numbers, through the trainer that the package trains with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.training.alternating import AlternatingTrainer
from distrecvae.training.noise import Place
from tests.golden import Golden, recvae_step

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}


class FixedNoise:
    """Users in their order, nothing hidden, the golden file's eps."""

    def __init__(self, eps: torch.Tensor) -> None:
        self._eps = eps

    def order(self, place: Place, n_users: int) -> torch.Tensor:  # noqa: ARG002
        return torch.arange(n_users)

    def kept(self, place: Place, n_interactions: int, dropout: float) -> torch.Tensor:  # noqa: ARG002
        raise AssertionError("dropout is 0, so nothing is drawn")

    def normal(self, place: Place, shape: tuple[int, int], dtype: torch.dtype) -> torch.Tensor:  # noqa: ARG002
        assert shape == tuple(self._eps.shape)
        return self._eps.to(dtype)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return recvae_step()


def golden_trainer(golden: Golden, dtype: torch.dtype, **settings: object) -> AlternatingTrainer:
    n_items = golden.arrays["x"].shape[1]
    config = RecVAEConfig(
        hidden_dim=24,
        latent_dim=8,
        dropout=0.0,
        learning_rate=float(golden.arrays["lr"]),
        **settings,  # type: ignore[arg-type]
    )
    users, items = np.nonzero(golden.arrays["x"])
    train = InteractionMatrix.from_pairs(users, items, n_users=12, n_items=n_items)
    noise = FixedNoise(torch.from_numpy(golden.arrays["eps"]))
    trainer = AlternatingTrainer(config, train, seed=0, dtype=dtype, noise=noise)
    state = trainer.state_dict()
    trainer.load_state_dict(state | {name: value.to(dtype) for name, value in golden.tensors("init").items()})
    return trainer


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_cycle_leaves_the_published_parameters_and_losses(golden: Golden, dtype: torch.dtype) -> None:
    trainer = golden_trainer(golden, dtype)
    losses = trainer.step()
    tolerance = TOLERANCE[dtype]
    state = trainer.state_dict()
    for name, expected in golden.tensors("cycle").items():
        # Adam turns rounding noise in a tiny gradient into a step of up to the learning rate, hence the
        # scale.
        scale = float(expected.abs().max())
        torch.testing.assert_close(
            state[name].double(), expected, rtol=tolerance, atol=tolerance * scale, msg=name
        )
    assert losses["loss"] == pytest.approx(golden.arrays["cycle_losses"][:3].mean(), rel=tolerance)
    assert trainer.passes == 4
