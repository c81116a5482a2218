"""Alternating least squares: sweeps against plain ones in float64, the loss that they lower, and the state."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError, DivergedError
from distrecvae.kernels.least_squares import Factors, Weights
from distrecvae.kernels.solvers import conjugate_gradients
from distrecvae.models.wmf import WMFConfig, weigh_wmf
from distrecvae.training import registry
from distrecvae.training.schemes.least_squares import START_DEVIATION, LeastSquaresTrainer, least_squares
from distrecvae.training.trainer import Trainer
from tests.kernels.factorization import loss, sweeps
from tests.kernels.random_users import dense, random_users

CONFIG = WMFConfig(latent_dim=5, regularization=0.7, alpha=6.0)
TRAIN = random_users(n_users=60, n_items=25)
X = dense(TRAIN)
C = 1 + CONFIG.alpha * X


def new_trainer(dtype: torch.dtype = torch.float64, *, seed: int = 3) -> Trainer:
    return registry.make_trainer("wmf", CONFIG, TRAIN, seed=seed, dtype=dtype)


def new_trainer_of(steps: int, dtype: torch.dtype) -> LeastSquaresTrainer:
    return LeastSquaresTrainer(
        TRAIN, CONFIG.latent_dim, CONFIG.regularization, weigh_wmf(CONFIG), seed=3, dtype=dtype, steps=steps
    )


@pytest.mark.parametrize("places", [1, 200, 10**9], ids=["a row", "some rows", "all rows"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_sweeps_give_what_plain_least_squares_gives(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, places: int
) -> None:
    monkeypatch.setattr(conjugate_gradients, "BLOCK_PLACES", places)
    # As many steps as there are factors solve a row; a few more are for rounding.
    trainer = new_trainer_of(8, dtype)
    start = trainer.model_state()["items"].double().numpy()
    for _ in range(3):
        reported = trainer.step()
    users, items = sweeps(X, C, start, CONFIG.regularization, 3)
    np.testing.assert_allclose(trainer.model_state()["items"].numpy(), items, atol=tolerance)
    expected = loss(X, C, users, items, CONFIG.regularization) / len(X)
    assert reported["loss"] == pytest.approx(expected, rel=max(tolerance, 1e-9))


def test_the_few_steps_of_a_sweep_arrive_where_exact_sweeps_do() -> None:
    exact, quick = new_trainer_of(8, torch.float64), new_trainer()
    losses = [[trainer.step()["loss"] for _ in range(200)][-1] for trainer in (exact, quick)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_the_loss_never_rises() -> None:
    trainer = new_trainer(torch.float32)
    losses = [trainer.step()["loss"] for _ in range(20)]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


def test_it_starts_small_and_from_the_seed_alone() -> None:
    first, again, other = (new_trainer(seed=seed).model_state()["items"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    wide = LeastSquaresTrainer(
        random_users(n_users=5, n_items=4000), 4, 1.0, weigh_wmf(CONFIG), seed=0, dtype=torch.float64
    ).model_state()["items"]
    assert float(wide.square().sum(dim=1).mean().sqrt()) == pytest.approx(START_DEVIATION, rel=0.05)


def test_a_sweep_is_one_cycle_and_one_pass() -> None:
    trainer = new_trainer()
    assert (trainer.cycle, trainer.passes, trainer.passes_per_cycle, trainer.solved) == (0, 0, 1, False)
    trainer.step()
    trainer.step()
    assert (trainer.cycle, trainer.passes, trainer.solved) == (2, 2, False)


def test_both_sides_factors_are_all_that_is_carried_on() -> None:
    whole, restored = new_trainer(), new_trainer(seed=9)
    whole.step()
    state = whole.state_dict()
    assert state.keys() == {"items", "users", "cycle"}
    assert whole.model_state().keys() == {"items"}
    restored.load_state_dict(state)
    assert restored.step() == whole.step()
    assert torch.equal(restored.model_state()["items"], whole.model_state()["items"])
    assert restored.cycle == 2


def test_states_are_copies() -> None:
    trainer = new_trainer()
    before = trainer.model_state()["items"].clone()
    trainer.state_dict()["items"].fill_(7)
    trainer.model_state()["items"].fill_(7)
    assert torch.equal(trainer.model_state()["items"], before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": None}, "items is missing"),
        ({"users": None}, "users is missing"),
        ({"cycle": None}, "cycle is missing"),
        ({"items": torch.zeros(25, 4).double()}, r"items is torch.float64 of shape \(25, 4\)"),
        ({"items": torch.zeros(25, 5)}, r"items is torch.float32 of shape \(25, 5\)"),
        ({"cycle": torch.tensor([1])}, r"cycle is torch.int64 of shape \(1,\)"),
    ],
)
def test_another_runs_state_is_refused_and_changes_nothing(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    trainer, other = new_trainer(), new_trainer(seed=9)
    other.step()
    before = trainer.state_dict()
    state = {name: value for name, value in (other.state_dict() | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=f"{message}; it is the state of another run: start over"):
        trainer.load_state_dict(state)
    after = trainer.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize(("n_users", "n_items"), [(0, 3), (3, 0)])
def test_nothing_to_train_on_is_refused(n_users: int, n_items: int) -> None:
    nothing = InteractionMatrix.from_pairs([], [], n_users=n_users, n_items=n_items)
    with pytest.raises(DataError, match=f"{n_users} users x {n_items} items; both must be positive"):
        LeastSquaresTrainer(nothing, 2, 1.0, weigh_wmf(CONFIG), seed=0)


def test_users_without_interactions_alone_can_be_trained_on() -> None:
    nobody = InteractionMatrix.from_pairs([], [], n_users=3, n_items=2)
    trainer = LeastSquaresTrainer(nobody, 2, 1.0, weigh_wmf(CONFIG), seed=0)
    assert trainer.step() == {"loss": 0.0}
    assert not trainer.model_state()["items"].any()


def test_what_cannot_be_solved_is_divergence_and_leaves_the_model() -> None:
    def no_weight(counts: torch.Tensor, _n_items: int) -> Weights:
        return Weights(1.0, torch.full_like(counts, float("nan"), dtype=torch.float64))

    trainer = LeastSquaresTrainer(TRAIN, 5, 1.0, no_weight, seed=0)
    before = trainer.model_state()["items"]
    with pytest.raises(DivergedError, match="raise regularization"):
        trainer.step()
    assert trainer.cycle == 0
    assert torch.equal(trainer.model_state()["items"], before)


def test_an_entry_takes_its_numbers_from_the_configuration() -> None:
    entry = least_squares(WMFConfig, weigh_wmf)
    assert (entry.config_class, entry.rounds, entry.at_once) == (WMFConfig, False, False)
    trainer = entry.train(
        CONFIG, TRAIN, seed=3, device=torch.device("cpu"), precision="float32", dtype=torch.float64
    )
    expected = new_trainer()
    assert trainer.step() == expected.step()
    assert torch.equal(trainer.model.score(TRAIN), expected.model.score(TRAIN))
    state = {name: value.float() for name, value in trainer.model_state().items()}
    loaded = entry.load(CONFIG, 25, state)
    assert isinstance(loaded, Factors)
    assert torch.equal(loaded.items, state["items"])
    with pytest.raises(CheckpointError, match="5 float32 factors for each of 24 items"):
        entry.load(CONFIG, 24, state)


def test_memory_counts_what_a_long_row_takes_beyond_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (InteractionMatrix.from_pairs([0] * n, range(n), n_users=2, n_items=1000) for n in (10, 1000))
    config = WMFConfig(latent_dim=16)
    in_few, on_disk = registry.memory_bytes("wmf", config, few)
    assert on_disk == 4 * 16 * (2 * 1000 + 2), "both sides' factors, and the best model's"
    # Both fit in a block; then only the transposed interactions, of four bytes each, are more.
    assert registry.memory_bytes("wmf", config, many)[0] - in_few == 4 * 990
    monkeypatch.setattr("distrecvae.kernels.solvers.conjugate_gradients.BLOCK_PLACES", 1)
    in_training = [registry.memory_bytes("wmf", config, train)[0] for train in (few, many)]
    assert in_training[1] - in_training[0] == (4 + conjugate_gradients.PLACE_BYTES) * 990
