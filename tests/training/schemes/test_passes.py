"""Networks that are trained a pass at a time, in one phase or several: what holds for each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError, DivergedError
from distrecvae.evaluation import evaluate
from distrecvae.kernels.layers import Draws
from distrecvae.kernels.sparse import SparseRows
from distrecvae.precisions import PRECISIONS, Precision
from distrecvae.saved.tensors import load_state, save_state
from distrecvae.training import registry
from distrecvae.training.schemes.passes import Passes, fresh_module
from distrecvae.training.trainer import Trainer
from tests import ROOT
from tests.training.checkerboard import checkerboard
from tests.training.schemes.test_alternating import equal_states, random_train

_HIDDEN: dict[str, Any] = {"hidden_dim": 24, "batch_size": 16, "learning_rate": 1e-2}
_LATENT = _HIDDEN | {"latent_dim": 8}
NETWORKS: dict[str, dict[str, Any]] = {
    "multvae": _LATENT | {"anneal_updates": 800},
    "multdae": _LATENT,
    "autorec": _HIDDEN | {"dropout": 0.3},
    "cdae": _HIDDEN | {"dropout": 0.3},
    "nbvae": _LATENT | {"anneal_updates": 800},
    "ract": _LATENT | {"anneal_updates": 800, "actor_passes": 3, "critic_passes": 3},
    "awae": _LATENT,
}
LEARNING: dict[str, dict[str, Any]] = {"ract": {"actor_passes": 60, "critic_passes": 5}}
RESUMED: dict[str, dict[str, Any]] = {
    "ract": {"actor_passes": 1, "critic_passes": 2},
    "awae": {"positive_weight": 3.0},
}
"""Settings under which the four passes of a resumed training have a change of phase, a loss that is no default."""
every_network = pytest.mark.parametrize("model", NETWORKS)


def test_a_pass_goes_over_every_user_once_in_an_order_of_its_own() -> None:
    train = random_train()
    passes = Passes(train, 7, seed=3, device=torch.device("cpu"))
    orders: list[list[int]] = []
    for number in (0, 1, 0):
        seen: list[torch.Tensor] = []
        places: list[int] = []

        def update(
            users: torch.Tensor, rows: SparseRows, draws: Draws, updates: torch.Tensor,
            seen: list[torch.Tensor] = seen, places: list[int] = places,
        ) -> dict[str, torch.Tensor]:  # fmt: skip
            assert rows.counts.tolist() == train.counts()[users.numpy()].tolist(), "the batch's own rows"
            assert draws.normal((1, 1), torch.float64).shape == (1, 1)
            seen.append(users)
            places.append(int(updates))
            return {"users": users.double().mean(), "one": torch.tensor(1.0)}

        losses = passes.train(number, update)
        order = torch.cat(seen).tolist()
        assert sorted(order) == list(range(train.n_users))
        assert places == list(range(passes.n_batches))
        assert losses["users"] == pytest.approx((train.n_users - 1) / 2), "means a user, not a batch"
        assert losses["one"] == 1.0
        orders.append(order)
    assert orders[0] == orders[2] != orders[1], "an order is a function of the pass's number"


def test_a_loss_that_is_not_finite_ends_the_pass_by_name() -> None:
    passes = Passes(random_train(), 7, seed=3, device=torch.device("cpu"))
    with pytest.raises(DivergedError, match=r"^kl is inf in pass 5; lower learning_rate$"):
        passes.train(4, lambda *_: {"kl": torch.tensor(torch.inf)})


@pytest.mark.parametrize(("n_users", "n_items"), [(0, 3), (3, 0)])
def test_a_pass_over_nothing_is_refused(n_users: int, n_items: int) -> None:
    nothing = InteractionMatrix.from_pairs([], [], n_users=n_users, n_items=n_items)
    with pytest.raises(DataError, match=f"training data is {n_users} users x {n_items} items"):
        Passes(nothing, 7, seed=3, device=torch.device("cpu"))


def test_fresh_parameters_are_the_seeds_and_leave_the_global_generator() -> None:
    def make() -> torch.nn.Module:
        return torch.nn.Linear(3, 2)

    about: dict[str, Any] = {"device": torch.device("cpu"), "dtype": torch.float64}
    before = torch.random.get_rng_state()
    first, same, other = (fresh_module(make, seed=seed, **about) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [dict(module.named_parameters())["weight"] for module in (first, same, other)]
    assert weights[0].dtype == torch.float64
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def new_trainer(
    model: str, train: InteractionMatrix, precision: Precision = "float32", **settings: Any
) -> Trainer:
    config = registry.config_from_dict(model, NETWORKS[model] | settings)
    return registry.make_trainer(model, config, train, seed=3, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@every_network
def test_it_learns_the_checkerboard(model: str, precision: Precision) -> None:
    train, users = checkerboard()
    trainer = new_trainer(model, train, precision, **LEARNING.get(model, {}))
    losses = [trainer.step()["loss"] for _ in range(2)]
    while trainer.passes < 80:
        last = trainer.step()
    if "loss" in last:  # a later phase of ract has others
        assert last["loss"] < losses[0]
    assert evaluate(trainer.model, users).mean("ndcg_100") > 0.95


def train_on(begun: str, *folders: str) -> None:
    """Take two passes of each network for each of `folders`, from the states in `begun`; what two processes run."""
    for model in NETWORKS:
        for precision in PRECISIONS:
            name = f"{model}-{precision}"
            trainer = new_trainer(model, random_train(), precision, **RESUMED.get(model, {}))
            if begun != "-":
                trainer.load_state_dict(load_state(Path(begun) / name)[0])
            for folder in folders:
                trainer.step()
                trainer.step()
                save_state(Path(folder) / name, trainer.state_dict(), {})


@pytest.fixture(scope="module")
def whole_and_resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """States after four passes of one process, and after two passes and two of another one."""
    place = tmp_path_factory.mktemp("states")
    half, whole, resumed = (str(place / name) for name in ("half", "whole", "resumed"))
    root = ROOT
    script = "import sys; from tests.training.schemes.test_passes import train_on; train_on(*sys.argv[1:])"
    for arguments in (["-", half, whole], [half, resumed]):
        subprocess.run(
            [sys.executable, "-c", script, *arguments],
            check=True,
            cwd=root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        )
    return Path(whole), Path(resumed)


@pytest.mark.parametrize("precision", PRECISIONS)
@every_network
def test_a_new_process_goes_on_bit_for_bit(
    model: str, precision: Precision, whole_and_resumed: tuple[Path, Path]
) -> None:
    expected, found = (load_state(folder / f"{model}-{precision}")[0] for folder in whole_and_resumed)
    assert int(found["cycle"]) == 4
    assert equal_states(found, expected)


@every_network
def test_training_leaves_the_global_generator_alone(model: str) -> None:
    before = torch.get_rng_state()
    new_trainer(model, random_train()).step()
    assert torch.equal(torch.get_rng_state(), before)


@every_network
def test_divergence_is_an_error_that_says_where(model: str) -> None:
    rate = 1e38 if model in ("ract", "awae") else 1e30  # their logits take longer to overflow
    trainer = new_trainer(model, random_train(), learning_rate=rate)
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
