"""Models that are solved at once: the first step does all there is to do, and a state needs no second one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import CheckpointError, DataError
from distrecvae.kernels.item_weights import ItemWeights
from distrecvae.training import registry
from distrecvae.training.entry import Common, Entry, score_bytes
from distrecvae.training.schemes.closed_form import ClosedFormTrainer, closed_form
from tests.training.checkerboard import checkerboard

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
TRAIN = InteractionMatrix.from_pairs([0, 0, 1], [0, 2, 1], n_users=2, n_items=3)


class Counted:
    """A solver that knows how often it was asked."""

    def __init__(self) -> None:
        self.solved = 0
        self.weight = torch.eye(3)

    def solve(self) -> dict[str, torch.Tensor]:
        self.solved += 1
        return {"weight": self.weight}

    def trainer(self) -> ClosedFormTrainer:
        return ClosedFormTrainer(self.solve, lambda state: ItemWeights(state["weight"]))


def test_a_closed_form_model_is_nothing_before_its_first_step() -> None:
    config = registry.config_from_dict("popularity", {})
    trainer = registry.make_trainer("popularity", config, checkerboard()[0], seed=0)
    with pytest.raises(CheckpointError, match="take a step first"):
        _ = trainer.model


def test_it_is_solved_once_and_further_steps_only_count() -> None:
    counted = Counted()
    trainer = counted.trainer()
    assert (trainer.solved, trainer.cycle, trainer.passes, counted.solved) == (False, 0, 0, 0)
    assert trainer.step() == {}
    model = trainer.model
    assert (trainer.solved, trainer.cycle, trainer.passes, counted.solved) == (True, 1, 1, 1)
    assert trainer.step() == {}
    assert (trainer.cycle, trainer.passes, counted.solved) == (2, 2, 1)
    assert trainer.model is model


def test_a_state_is_taken_over_without_solving() -> None:
    first, second = Counted(), Counted()
    begun, other = first.trainer(), second.trainer()
    begun.step()
    begun.step()
    other.load_state_dict(begun.state_dict())
    assert (other.solved, other.cycle, second.solved) == (True, 2, 0)
    assert torch.equal(other.model.score(TRAIN), begun.model.score(TRAIN))
    assert other.model_state().keys() == {"weight"}, "the counter is no parameter"
    other.step()
    assert second.solved == 0


def test_the_state_before_the_first_step_is_one_too() -> None:
    counted = Counted()
    trainer = counted.trainer()
    trainer.load_state_dict(Counted().trainer().state_dict())
    assert not trainer.solved
    trainer.step()
    assert (trainer.solved, counted.solved) == (True, 1)


def test_what_is_no_state_is_refused() -> None:
    trainer = Counted().trainer()
    with pytest.raises(CheckpointError, match=r"cycle is missing; the state is of another model: start over"):
        trainer.load_state_dict({"weight": torch.eye(3)})
    assert (trainer.solved, trainer.cycle) == (False, 0)


def test_a_state_that_the_model_refuses_changes_nothing() -> None:
    config = registry.config_from_dict("ease", {"regularization": 5})
    trainer = registry.make_trainer("ease", config, TRAIN, seed=0)
    with pytest.raises(CheckpointError, match="weights of 3 x 3 items"):
        trainer.load_state_dict({"weight": torch.eye(4), "cycle": torch.tensor(1)})
    assert (trainer.solved, trainer.cycle) == (False, 0)


def test_states_are_copies() -> None:
    counted = Counted()
    trainer = counted.trainer()
    trainer.step()
    trainer.state_dict()["weight"].fill_(7)
    trainer.model_state()["weight"].fill_(7)
    assert torch.equal(counted.weight, torch.eye(3))


def entry_of(memory: Callable[..., tuple[int, int]], **more: Any) -> tuple[Entry, list[dict[str, Any]]]:
    """Return an entry, and what its solver is given besides the configuration, the users and the device."""
    given: list[dict[str, Any]] = []

    def solve(config: Any, train: InteractionMatrix, device: torch.device, **rest: Any) -> Any:
        given.append({"config": config, "train": train, "device": device, **rest})
        return {"weight": torch.eye(train.n_items)}

    def load(config: Any, n_items: int, state: Mapping[str, torch.Tensor], device: torch.device) -> Any:
        given.append({"config": config, "n_items": n_items, "device": device})
        return ItemWeights(state["weight"])

    return closed_form(dict, solve, load, memory, **more), given


def unasked(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody asked for this")


ASKED: dict[str, Any] = {"seed": 1, "device": CPU, "precision": "float32", "dtype": torch.float32}


def test_an_entry_says_that_its_model_is_solved_at_once_and_rounds_nothing() -> None:
    common = Common(unasked, unasked)
    entry, _ = entry_of(unasked, common=common, tells=True)
    assert (entry.config_class, entry.at_once, entry.rounds) == (dict, True, False)
    assert (entry.common, entry.tells) == (common, True)
    plain, _ = entry_of(unasked)
    assert (plain.common, plain.tells) == (None, False)


def test_the_solver_is_given_what_is_lent_and_whom_to_tell_and_only_by_a_step() -> None:
    entry, given = entry_of(unasked)
    trainer = entry.train({"a": 1}, TRAIN, **ASKED, common={}, progress=print)
    assert given == []
    trainer.step()
    assert given == [
        {"config": {"a": 1}, "train": TRAIN, "device": CPU, "common": {}, "progress": print},
        {"config": {"a": 1}, "n_items": 3, "device": CPU},
    ]


@pytest.mark.parametrize(("n_users", "n_items"), [(0, 3), (3, 0)])
def test_nothing_to_solve_is_refused_before_it_is_solved(n_users: int, n_items: int) -> None:
    entry, _ = entry_of(unasked)
    nothing = InteractionMatrix.from_pairs([], [], n_users=n_users, n_items=n_items)
    with pytest.raises(DataError, match=f"{n_users} users x {n_items} items; both must be positive"):
        entry.train({}, nothing, **ASKED)


def test_memory_is_that_of_solving_or_of_three_copies_and_scores_and_two_are_saved() -> None:
    scores = score_bytes(2, 3)
    for solving, parameters, on_cpu, on_cuda in (
        (10**6, 100, 10**6, 10**6),
        (1, 100, 300 + scores, 100 + scores),
    ):
        entry, _ = entry_of(lambda *_, solving=solving, parameters=parameters: (solving, parameters))
        for device, expected in ((CPU, on_cpu), (CUDA, on_cuda)):
            found = entry.memory({}, TRAIN, device=device, precision="float32")
            assert found == (expected, 2 * parameters)


def test_what_is_lent_lies_on_the_host_so_that_a_gpu_has_its_own_copy() -> None:
    told = []

    def memory(_config: Any, _train: InteractionMatrix, lent: bool) -> tuple[int, int]:
        told.append(lent)
        return 0, 0

    entry, _ = entry_of(memory)
    for device in (CPU, CUDA):
        for lent in (True, False):
            entry.memory({}, TRAIN, device=device, precision="float32", lent=lent)
    assert told == [True, False, False, False]
