"""Training in phases: parts, losses and optimizers change when they should, and a state continues bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.training import registry
from distrecvae.training.schemes.phased import PhasedTrainer
from tests.kernels.random_users import random_users
from tests.training.schemes.test_alternating import equal_states, random_train
from tests.training.schemes.test_passes import NETWORKS
from tests.training.schemes.test_passes import new_trainer as new_network


def new_trainer(model: str, train: InteractionMatrix, **settings: Any) -> PhasedTrainer:
    trainer = new_network(model, train, **settings)
    assert isinstance(trainer, PhasedTrainer)
    return trainer


@pytest.mark.parametrize("begun", range(1, 8))
def test_a_state_from_any_phase_goes_on_bit_for_bit(begun: int) -> None:
    """Three passes of the actor, three of the critic, then both: restored within each and at each change."""
    whole = new_trainer("ract", random_train())
    for _ in range(begun):
        whole.step()
    restored = new_trainer("ract", random_train())
    restored.load_state_dict(whole.state_dict())
    for _ in range(8 - begun):
        assert whole.step() == restored.step()
        assert equal_states(whole.state_dict(), restored.state_dict())


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Return the parts and optimizers of which something changed."""
    return {
        "/".join(name.split(".")[0].split("/")[:2])
        for name in before
        if not torch.equal(before[name], after[name])
    }


def test_a_phase_trains_its_parts_and_nothing_else() -> None:
    trainer = new_trainer("ract", random_train(), actor_passes=1, critic_passes=1)
    actor, critic = {"model/actor", "adam/actor"}, {"model/critic", "adam/critic"}
    for expected in (actor, critic, actor | critic):
        before = trainer.state_dict()
        trainer.step()
        assert changed(before, trainer.state_dict()) - {"cycle"} == expected


def test_an_optimizer_starts_anew_with_another_loss_and_goes_on_with_the_same() -> None:
    train = random_train()
    trainer = new_trainer("ract", train, actor_passes=2, critic_passes=2)
    a_pass = -(-train.n_users // 16)
    steps = []
    for _ in range(6):
        trainer.step()
        state = trainer.state_dict()
        steps.append(
            [
                float(state[f"adam/{n}/step"]) / a_pass
                for n in ("actor/items.weight", "critic/layers.0.weight")
            ]
        )
    assert steps == [[1, 0], [2, 0], [2, 1], [2, 2], [1, 3], [2, 4]]


def test_the_actor_alone_is_trained_as_mult_vae_is() -> None:
    trainer = new_trainer("ract", random_train())
    config = trainer._network._config.actor()  # type: ignore[attr-defined]
    alone = registry.make_trainer("multvae", config, random_train(), seed=3)
    for _ in range(3):
        assert trainer.step() == alone.step()
    assert equal_states(trainer.model_state(), alone.model_state())


def test_joint_training_raises_the_critics_estimate_and_the_truth_with_it() -> None:
    rates = {"joint_learning_rate": 1e-3, "critic_learning_rate": 1e-2}
    config = registry.config_from_dict(
        "ract", NETWORKS["ract"] | rates | {"actor_passes": 1, "critic_passes": 20}
    )
    train = random_users(n_users=200, n_items=60)
    trainer = registry.make_trainer("ract", config, train, seed=3)
    reports = [trainer.step() for _ in range(51)]
    first, last, joint, end = (reports[n] for n in (1, 20, 21, -1))
    assert last["critic_loss"] < first["critic_loss"]
    assert end["actor_loss"] < joint["actor_loss"] - 0.05
    assert end["ndcg"] > joint["ndcg"] + 0.05
