"""`fit`: a report after every cycle, for as long as anyone asks, and nothing that is not a number."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import pytest
import torch

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.interactions import InteractionMatrix
from distrecvae.errors import DataError, DivergedError
from distrecvae.evaluation import Evaluation, evaluate
from distrecvae.metrics import METRICS
from distrecvae.training.trainer import Report, Trainer, fit
from tests.training.checkerboard import checkerboard

USERS = checkerboard()[1]


class Constant:
    """Scores every item by its position times a number."""

    def __init__(self) -> None:
        self.factor, self.scored = 1.0, 0

    @property
    def n_items(self) -> int:
        return USERS.n_items

    def score(self, fold_in: InteractionMatrix) -> torch.Tensor:
        self.scored += 1
        return (self.factor * torch.arange(self.n_items)).repeat(fold_in.n_users, 1).float()


class Scripted:
    """A trainer whose losses are written down; a cycle costs three passes and turns the scores round."""

    passes_per_cycle = 3
    solved = False

    def __init__(self, losses: Sequence[Mapping[str, float]]) -> None:
        self._losses: Iterator[Mapping[str, float]] = iter(losses)
        self.model, self.cycle = Constant(), 0

    @property
    def passes(self) -> int:
        return 3 * self.cycle

    def step(self) -> dict[str, float]:
        self.cycle += 1
        self.model.factor *= -1
        return dict(next(self._losses))

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:  # noqa: ARG002
        raise AssertionError("`fit` loads nothing")

    def model_state(self) -> dict[str, torch.Tensor]:
        return {}


def scripted(*losses: Mapping[str, float]) -> tuple[Scripted, Trainer]:
    trainer = Scripted(losses)
    as_trainer: Trainer = trainer  # it is one: mypy holds it to the protocol
    return trainer, as_trainer


def test_a_report_has_what_the_cycle_gave_and_the_scores_after_it() -> None:
    trainer, given = scripted({"loss": 2.0, "kl": 0.5}, {"loss": 1.0})
    first, second = islice(fit(given, USERS), 2)
    assert (first.cycle, first.passes, first.losses) == (1, 3, {"loss": 2.0, "kl": 0.5})
    assert (second.cycle, second.passes, second.losses) == (2, 6, {"loss": 1.0})
    # The model of the report is the one after its cycle: the first one ranks backwards.
    assert first.valid is not None
    assert second.valid is not None
    assert second.valid.means() == evaluate(trainer.model, USERS).means()
    assert first.valid.means() != second.valid.means()
    assert first.train_s >= 0
    assert first.evaluate_s >= 0


def test_nothing_is_trained_before_it_is_asked_for() -> None:
    trainer, given = scripted({"loss": 1.0}, {"loss": 1.0})
    reports = fit(given, USERS)
    assert trainer.cycle == 0
    next(reports)
    assert trainer.cycle == 1
    assert trainer.model.scored == 1


def test_a_trainer_that_has_begun_goes_on() -> None:
    trainer, given = scripted({"loss": 1.0})
    trainer.cycle = 7
    assert next(fit(given, USERS)).cycle == 8


def test_a_trainer_without_losses_is_reported_all_the_same() -> None:
    _, given = scripted({})
    assert next(fit(given, USERS)).losses == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_ends_it_in_one_line_that_names_it(value: float) -> None:
    _, given = scripted({"loss": 1.0}, {"loss": 1.0, "kl": value})
    reports = fit(given, USERS)
    next(reports)
    with pytest.raises(DivergedError) as caught:
        next(reports)
    assert str(caught.value) == f"train/kl is {value} after cycle 2; a lower learning rate may help"


def test_scores_that_are_no_numbers_end_it() -> None:
    trainer, given = scripted({"loss": 1.0})
    trainer.model.factor = math.nan
    with pytest.raises(DivergedError):
        next(fit(given, USERS))


def test_validation_users_of_whom_none_can_be_scored_are_refused_before_a_step() -> None:
    # Their mean is not a number; training was called diverged, and a lower learning rate was advised.
    nobody = InteractionMatrix.from_pairs([], [], n_users=2, n_items=USERS.n_items)
    trainer = Scripted([{"loss": 1.0}])
    with pytest.raises(DataError, match="none of the 2 validation users"):
        next(fit(trainer, HeldOutUsers(nobody, nobody)))
    assert trainer.cycle == 0


def test_a_report_is_flat_for_those_that_it_is_sent_to() -> None:
    per_user = {name: np.array([0.25, 0.75]) for name in METRICS}
    report = Report(4, 16, {"loss": 3.0}, Evaluation(per_user, np.array([0, 2]), 1), 1.5, 0.5)
    assert report.metrics() == {
        "cycle": 4,
        "passes": 16,
        "valid/ndcg_100": 0.5,
        "valid/recall_20": 0.5,
        "valid/recall_50": 0.5,
        "train/loss": 3.0,
        "train_s": 1.5,
        "evaluate_s": 0.5,
    }
    assert list(report.metrics())[:2] == ["cycle", "passes"]
