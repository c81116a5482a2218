"""Users' vectors: each is a parameter with an Adam of its own, trained, saved, and no part of a model."""

from __future__ import annotations

import pytest
import torch

from distrecvae.errors import CheckpointError
from distrecvae.models.cdae import CDAEConfig
from distrecvae.training import registry
from distrecvae.training.schemes.gradient import GradientTrainer
from distrecvae.training.schemes.user_vectors import UserVectors
from tests.training.checkerboard import checkerboard
from tests.training.schemes.test_alternating import equal_states, random_train

# All cells count: where zeros count by a user's interactions, a user without any has no loss and stays at zero.
CONFIG = CDAEConfig(hidden_dim=4, batch_size=16, learning_rate=1e-2, negatives=None)


def new_trainer(config: CDAEConfig = CONFIG) -> GradientTrainer:
    trainer = registry.make_trainer("cdae", config, random_train(), seed=3)
    assert isinstance(trainer, GradientTrainer)
    return trainer


def test_each_vector_has_an_adam_of_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = UserVectors(5, 3, 0.1, device=torch.device("cpu"), dtype=torch.float64)
    parameters = [torch.nn.Parameter(torch.zeros(3, dtype=torch.float64)) for _ in range(5)]
    optimizers = [torch.optim.Adam([parameter], lr=0.1) for parameter in parameters]
    for number in (1, 2, 3):
        vectors.begin(number)
        order = torch.randperm(5, generator=generator)
        for users in (order[:2], order[2:]):
            gradient = torch.randn(len(users), 3, generator=generator, dtype=torch.float64)
            before = vectors.values.clone()
            vectors.step(users, gradient)
            others = torch.ones(5, dtype=torch.bool).index_fill_(0, users, False)
            assert torch.equal(vectors.values[others], before[others])
            for user, part in zip(users.tolist(), gradient, strict=True):
                parameters[user].grad = part.clone()
                optimizers[user].step()
    expected = torch.stack([parameter.detach() for parameter in parameters])
    torch.testing.assert_close(vectors.values, expected, rtol=1e-12, atol=1e-12)


def test_a_batch_takes_gradients_by_its_users_vectors() -> None:
    vectors = UserVectors(4, 2, 0.1, device=torch.device("cpu"), dtype=torch.float32)
    vectors.values.copy_(torch.arange(8.0).view(4, 2))
    taken = vectors.of(torch.tensor([2, 0]))
    assert torch.equal(taken.detach(), torch.tensor([[4.0, 5.0], [0.0, 1.0]]))
    (gradient,) = torch.autograd.grad(taken.square().sum(), taken)
    assert torch.equal(gradient, 2 * taken.detach())


def test_the_state_has_every_users_vector_and_moments_and_the_model_has_none() -> None:
    trainer = new_trainer()
    n_users = random_train().n_users
    for _ in range(2):
        trainer.step()
    state, model = trainer.state_dict(), trainer.model_state()
    for name in ("users/vector", "users/exp_avg", "users/exp_avg_sq"):
        assert state[name].shape == (n_users, CONFIG.hidden_dim)
        assert (state[name].abs().sum(dim=1) > 0).all(), f"a user's {name} never moved"
    assert model.keys() == {"first.weight", "first.bias", "items.weight", "items.bias", "user"}
    assert all(n_users not in value.shape for value in model.values())
    torch.testing.assert_close(model["user"], state["users/vector"].mean(dim=0))


def test_the_first_step_of_a_vector_is_the_sign_of_its_gradient() -> None:
    # A user's vector sees the loss of its own user only: Adam's first step is its gradient's sign, whatever the batch.
    trainer = new_trainer()
    trainer.step()
    vector = trainer.state_dict()["users/vector"]
    torch.testing.assert_close(vector.abs(), torch.full_like(vector, CONFIG.learning_rate), rtol=1e-2, atol=0)


def test_vectors_change_what_is_learned_and_are_kept_small_by_the_penalty() -> None:
    free, bound = (
        new_trainer(CDAEConfig(hidden_dim=4, batch_size=16, learning_rate=1e-2, regularization=weight))
        for weight in (0.0, 100.0)
    )
    for trainer in (free, bound):
        for _ in range(30):
            losses = trainer.step()
    sizes = [float(trainer.state_dict()["users/vector"].square().sum()) for trainer in (free, bound)]
    assert sizes[1] < 0.1 * sizes[0]
    assert losses["penalty"] > 0


def test_users_of_another_data_set_are_refused_and_change_nothing() -> None:
    trainer = new_trainer()
    before = trainer.state_dict()
    other = registry.make_trainer(
        "cdae", CONFIG, checkerboard(n_users=7, n_items=random_train().n_items)[0], seed=3
    )
    with pytest.raises(CheckpointError, match=r"users/vector is .* state of another run"):
        trainer.load_state_dict(other.state_dict())
    assert equal_states(before, trainer.state_dict())


def test_vectors_are_counted_in_memory() -> None:
    # The same interactions, and so items, for twice the users.
    few, many = (checkerboard(n_users=n, n_items=12)[0] for n in (500, 1000))
    config = CDAEConfig(hidden_dim=64)
    (in_few, on_few), (in_many, on_many) = (
        registry.memory_bytes("cdae", config, train) for train in (few, many)
    )
    vectors = 3 * 4 * 500 * 64
    assert on_many - on_few == vectors
    assert in_many - in_few >= vectors
