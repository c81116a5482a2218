"""Phases are data: a trainer that is given some does what they say, no more and no less."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from distrecvae.data.interactions import InteractionMatrix
from distrecvae.kernels.layers import Draws
from distrecvae.kernels.phases import Objective, Phase
from distrecvae.kernels.sparse import SparseRows
from distrecvae.training.schemes.phased import PhasedTrainer

FOUR_USERS = InteractionMatrix.from_pairs(range(4), [0, 0, 1, 2], n_users=4, n_items=3)
RATE = 0.1


class Part(torch.nn.Module):
    """A number and a free bias."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.full((1, 1), value))
        self.bias = torch.nn.Parameter(torch.zeros(1))


class Pair(torch.nn.Module):
    """Two parts whose losses depend on each other: what each has seen of the other can be told."""

    def __init__(self, *phases: Phase, only: int = 0) -> None:
        super().__init__()
        self.one, self.two = Part(-0.05), Part(5.0)
        self._phases, self._only = phases, only
        self.seen: list[tuple[float, float]] = []
        self.counted: list[int] = []

    @property
    def scorer(self) -> torch.nn.Module:
        return self.one

    def phases(self) -> tuple[Phase, ...]:
        both = (Objective("one", "other", RATE), Objective("two", "second", 2 * RATE))
        of_its_own = (
            Phase(2, self.losses, (Objective("one", "first", RATE),)),
            Phase(None, self.losses, both),
        )
        return self._phases or of_its_own[self._only :]

    def losses(self, rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:  # noqa: ARG002
        self.counted.append(int(updates))
        one, two = self.one.weight.sum() + self.one.bias.sum(), self.two.weight.sum() + self.two.bias.sum()
        self.seen.append((float(one.detach()), float(two.detach())))
        return {
            "first": one.square(),
            "other": (one - two.detach()).square(),
            "second": (self.two.weight * self.one.weight).sum() + self.two.bias.sum(),
            "counted": updates,
        }


def trainer_of(network: Pair, batch_size: int = 2) -> PhasedTrainer:
    return PhasedTrainer(lambda: network, FOUR_USERS, batch_size=batch_size, seed=0, dtype=torch.float64)


def value(part: Part) -> float:
    return float(part.weight.detach().sum() + part.bias.detach().sum())


def test_a_weight_is_free_unless_it_is_said_to_decay() -> None:
    assert Objective("part", "loss", 0.1) == Objective("part", "loss", 0.1, weight_decay=0.0)


def test_a_phase_lasts_its_passes_and_the_last_one_for_ever() -> None:
    network = Pair()
    trainer = trainer_of(network)
    places = [(value(network.one), value(network.two))]
    for _ in range(5):
        trainer.step()
        places.append((value(network.one), value(network.two)))
    moved = [[old != new for old, new in zip(a, b, strict=True)] for a, b in pairwise(places)]
    assert moved == [[True, False], [True, False], [True, True], [True, True], [True, True]]


def test_losses_hear_of_the_updates_taken_in_their_own_phase() -> None:
    network = Pair()
    trainer = trainer_of(network)
    for _ in range(4):
        trainer.step()
    assert network.counted == [0, 1, 2, 3, 0, 1, 2, 3]


def test_losses_that_nothing_minimizes_are_reported() -> None:
    report = trainer_of(Pair()).step()
    assert report.keys() == {"first", "other", "second", "counted"}
    assert report["counted"] == 0.5, "a mean over two batches of two users"


def test_objectives_of_one_batch_see_the_same_parameters() -> None:
    network = Pair(only=1)
    trainer = trainer_of(network, batch_size=4)
    trainer.step()
    # Adam's first step is its rate against the gradient's sign. That by the other's weight is this one's weight, which
    # is negative before its own step and positive after it.
    assert value(network.one) == pytest.approx(-0.05 + 2 * RATE, abs=1e-6)
    assert float(network.two.weight.detach()) == pytest.approx(5 + 2 * RATE, abs=1e-6)
    assert len(network.seen) == 1


def test_only_weights_decay() -> None:
    def constant(rows: SparseRows, draws: Draws, updates: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"nothing": 0 * (network.one.weight.sum() + network.one.bias.sum())}

    network = Pair(Phase(None, constant, (Objective("one", "nothing", RATE, weight_decay=0.5),)))
    trainer = trainer_of(network, batch_size=4)
    with torch.no_grad():
        network.one.bias.fill_(3.0)
    trainer.step()
    assert float(network.one.weight.detach()) == pytest.approx(-0.05 + RATE, abs=1e-6)
    assert float(network.one.bias.detach()) == 3.0
