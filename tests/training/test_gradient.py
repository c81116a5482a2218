"""Gradient training: networks learn, go on bit for bit, and their optimizer does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError, DivergedError
from distrecvae.evaluation import evaluate
from distrecvae.models.choices import PRECISIONS, Precision
from distrecvae.training import checkpoint, registry
from distrecvae.training.gradient import GradientTrainer
from distrecvae.training.state import adam
from tests.training.checkerboard import checkerboard
from tests.training.test_alternating import equal_states, random_train

NETWORKS: dict[str, dict[str, Any]] = {
    "multvae": {
        "hidden_dim": 24,
        "latent_dim": 8,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "anneal_updates": 800,
    },
    "multdae": {"hidden_dim": 24, "latent_dim": 8, "batch_size": 16, "learning_rate": 1e-2},
    "autorec": {"hidden_dim": 24, "batch_size": 16, "learning_rate": 1e-2, "dropout": 0.3},
    "cdae": {"hidden_dim": 24, "batch_size": 16, "learning_rate": 1e-2, "dropout": 0.3},
    "nbvae": {
        "hidden_dim": 24,
        "latent_dim": 8,
        "batch_size": 16,
        "learning_rate": 1e-2,
        "anneal_updates": 800,
    },
}
every_network = pytest.mark.parametrize("model", NETWORKS)


def new_trainer(
    model: str, train: InteractionMatrix, precision: Precision = "float32", **settings: Any
) -> GradientTrainer:
    config = registry.config_from_dict(model, NETWORKS[model] | settings)
    trainer = registry.make_trainer(model, config, train, seed=3, precision=precision)
    assert isinstance(trainer, GradientTrainer)
    return trainer


@pytest.mark.parametrize("precision", PRECISIONS)
@every_network
def test_it_learns_the_checkerboard(model: str, precision: Precision) -> None:
    train, users = checkerboard()
    trainer = new_trainer(model, train, precision)
    first = trainer.step()
    while trainer.passes < 80:
        last = trainer.step()
    assert last["loss"] < first["loss"]
    assert evaluate(trainer.model, users).mean("ndcg_100") > 0.95


@pytest.mark.parametrize("precision", PRECISIONS)
@every_network
def test_a_new_process_goes_on_bit_for_bit(model: str, precision: Precision, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from distrecvae.training import checkpoint
from tests.training.test_gradient import new_trainer
from tests.training.test_alternating import random_train
model, precision, begun, *paths = sys.argv[1:]
trainer = new_trainer(model, random_train(), precision)
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
            [sys.executable, "-c", script, model, precision, *arguments],
            check=True,
            cwd=root,
            env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        )
    expected, found = (checkpoint.load_state(Path(path))[0] for path in (whole, resumed))
    assert int(found["cycle"]) == 4
    assert equal_states(found, expected)


@every_network
def test_training_leaves_the_global_generator_alone(model: str) -> None:
    before = torch.get_rng_state()
    new_trainer(model, random_train()).step()
    assert torch.equal(torch.get_rng_state(), before)


@every_network
def test_divergence_is_an_error_that_says_where(model: str) -> None:
    trainer = new_trainer(model, random_train(), learning_rate=1e30)
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


@every_network
def test_nothing_to_train_on_is_refused(model: str) -> None:
    with pytest.raises(DataError, match="0 users x 4 items"):
        new_trainer(model, InteractionMatrix.from_pairs([], [], n_users=0, n_items=4))


def test_weights_decay_and_biases_do_not() -> None:
    # Adam's first step is the sign of what it is given: of a parameter without a gradient, that is its decay.
    layer = torch.nn.Linear(3, 2)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    optimizer = adam(layer, 0.1, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(
        layer.weight.detach(), before["weight"] - 0.1 * before["weight"].sign(), atol=1e-4, rtol=0
    )
    assert torch.equal(layer.bias.detach(), before["bias"])
