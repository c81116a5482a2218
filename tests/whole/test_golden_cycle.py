"""The published implementation's numbers, through the trainer that the package trains with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.models.recvae import RecVAEConfig
from distrecvae.precisions import Precision
from distrecvae.training.schemes.alternating import AlternatingTrainer
from distrecvae.training.schemes.noise import Place
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


def golden_trainer(
    golden: Golden, dtype: torch.dtype, precision: Precision = "float32", *, padded: bool = False
) -> AlternatingTrainer:
    n_items = golden.arrays["x"].shape[1]
    config = RecVAEConfig(
        hidden_dim=24,
        latent_dim=8,
        dropout=0.0,
        learning_rate=float(golden.arrays["lr"]),
    )
    users, items = np.nonzero(golden.arrays["x"])
    train = InteractionMatrix.from_pairs(users, items, n_users=12, n_items=n_items)
    noise = FixedNoise(torch.from_numpy(golden.arrays["eps"]))
    trainer = AlternatingTrainer(config, train, seed=0, dtype=dtype, precision=precision, noise=noise)
    if padded:
        trainer._n_places = train.n_interactions + 100
    state = trainer.state_dict()
    trainer.load_state_dict(state | {name: value.to(dtype) for name, value in golden.tensors("init").items()})
    return trainer


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_a_cycle_leaves_the_published_parameters_and_losses(
    golden: Golden, dtype: torch.dtype, padded: bool
) -> None:
    # Padded batches are what a GPU is given, so that all have one shape; nothing else differs there.
    trainer = golden_trainer(golden, dtype, padded=padded)
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


def test_a_cycle_in_bfloat16_goes_the_published_way(golden: Golden) -> None:
    """Rounded products cannot give the published digits. The losses keep theirs to the rounding, and parameters move
    as published, but for coordinates whose gradient is below its rounding: Adam's steps follow signs."""
    trainer = golden_trainer(golden, torch.float32, "bfloat16")
    losses = trainer.step()
    assert losses["loss"] == pytest.approx(golden.arrays["cycle_losses"][:3].mean(), rel=2.0**-9)
    state, start = trainer.state_dict(), golden.tensors("init")
    for name, expected in golden.tensors("cycle").items():
        if name.startswith("encoder_old/"):
            continue
        moved = expected - start[name]
        off = float((state[name].double() - expected).norm() / moved.norm())
        assert off <= 0.15, f"{name} is off by {off:.3f} of its way"
