"""Training in phases: parts, losses and optimizers change when they should, and a state goes on bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DivergedError
from distrecvae.evaluation import evaluate
from distrecvae.models.choices import PRECISIONS, Precision
from distrecvae.training import checkpoint, registry
from distrecvae.training.phased import PhasedTrainer
from tests.models.random_users import random_users
from tests.training.checkerboard import checkerboard
from tests.training.test_alternating import equal_states, random_train

NETWORKS: dict[str, dict[str, Any]] = {
    "ract": {
        "hidden_dim": 24,
        "latent_dim": 8,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "anneal_updates": 800,
        "actor_passes": 3,
        "critic_passes": 3,
    },
    "awae": {"hidden_dim": 24, "latent_dim": 8, "batch_size": 16, "learning_rate": 1e-2},
}
every_network = pytest.mark.parametrize("model", NETWORKS)


def new_trainer(
    model: str, train: InteractionMatrix, precision: Precision = "float32", **settings: Any
) -> PhasedTrainer:
    config = registry.config_from_dict(model, NETWORKS[model] | settings)
    trainer = registry.make_trainer(model, config, train, seed=3, precision=precision)
    assert isinstance(trainer, PhasedTrainer)
    return trainer


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("model", "settings"), [("ract", {"actor_passes": 60, "critic_passes": 5}), ("awae", {})]
)
def test_it_learns_the_checkerboard(model: str, settings: dict[str, Any], precision: Precision) -> None:
    train, users = checkerboard()
    trainer = new_trainer(model, train, precision, **settings)
    while trainer.passes < 80:
        trainer.step()
    assert evaluate(trainer.model, users).mean("ndcg_100") > 0.95


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


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("model", "settings"),
    [("ract", {"actor_passes": 1, "critic_passes": 2}), ("awae", {"positive_weight": 3.0})],
)
def test_a_new_process_goes_on_bit_for_bit(
    model: str, settings: dict[str, Any], precision: Precision, tmp_path: Path
) -> None:
    script = """
import json, sys
from pathlib import Path
from distrecvae.training import checkpoint
from tests.training.test_phased import new_trainer
from tests.training.test_alternating import random_train
model, settings, precision, begun, *paths = sys.argv[1:]
trainer = new_trainer(model, random_train(), precision, **json.loads(settings))
if begun != "-":
    trainer.load_state_dict(checkpoint.load_state(Path(begun))[0])
for path in paths:
    trainer.step()
    trainer.step()
    checkpoint.save_state(Path(path), trainer.state_dict(), {})
"""
    root = Path(__file__).parents[2]
    half, whole, resumed = (str(tmp_path / name) for name in ("half", "whole", "resumed"))
    for arguments in (["-", half, whole], [half, resumed]):
        subprocess.run(
            [sys.executable, "-c", script, model, json.dumps(settings), precision, *arguments],
            check=True,
            cwd=root,
            env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        )
    expected, found = (checkpoint.load_state(Path(path))[0] for path in (whole, resumed))
    assert int(found["cycle"]) == 4
    assert equal_states(found, expected)


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


@every_network
def test_training_leaves_the_global_generator_alone(model: str) -> None:
    before = torch.get_rng_state()
    new_trainer(model, random_train()).step()
    assert torch.equal(torch.get_rng_state(), before)


@every_network
def test_divergence_is_an_error_that_says_where(model: str) -> None:
    trainer = new_trainer(model, random_train(), learning_rate=1e38)
    with pytest.raises(DivergedError, match=r"is (nan|inf) in pass \d; lower learning_rate"):  # noqa: PT012
        for _ in range(5):
            trainer.step()


@every_network
def test_another_configurations_state_is_refused_and_changes_nothing(model: str) -> None:
    trainer, other = new_trainer(model, random_train()), new_trainer(model, random_train(), hidden_dim=5)
    before = trainer.state_dict()
    with pytest.raises(CheckpointError, match="state of another run"):
        trainer.load_state_dict(other.state_dict())
    assert equal_states(before, trainer.state_dict())
