"""How long passes take: some batches of some users, whose times are those that training reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from distrecvae.data.dataset import HeldOutUsers
from distrecvae.data.synthetic import synthetic_split
from distrecvae.evaluation import Scoring
from distrecvae.metrics import METRICS
from distrecvae.runs import timing
from distrecvae.runs.timing import BATCHES, seconds_of_passes, some_users
from distrecvae.training import registry
from distrecvae.training.trainer import Report, Trainer, fit

SPLIT = synthetic_split(n_users=300, n_items=60, seed=1)
SMALL: dict[str, Any] = {"hidden_dim": 8, "latent_dim": 4, "batch_size": 10}


def config(model: str = "recvae", **settings: Any) -> dict[str, Any]:
    return registry.config_to_dict(registry.config_from_dict(model, settings))


def test_some_batches_are_as_many_users_as_fill_them() -> None:
    some = some_users("recvae", config(**SMALL), SPLIT.train, SPLIT.valid)
    assert some is not None
    train, valid = some
    assert (train.n_users, train.n_items) == (BATCHES * 10, SPLIT.n_items)
    assert 0 < valid.n_users == valid.n_scored <= SPLIT.valid.n_users
    all_of_them = some_users("recvae", config(**SMALL | {"batch_size": 500}), SPLIT.train, SPLIT.valid)
    assert all_of_them is not None
    assert all_of_them[0].n_users == SPLIT.train.n_users


@pytest.mark.parametrize("model", ["ease", "popularity"])
def test_what_has_no_batches_is_not_timed(model: str) -> None:
    assert some_users(model, config(model), SPLIT.train, SPLIT.valid) is None


def test_the_second_cycles_times_are_those_of_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([(100.0, 100.0), (8.0, 2.0)])

    def timed(trainer: Trainer, valid: HeldOutUsers, scoring: Scoring) -> Iterator[Report]:
        for report in fit(trainer, valid, scoring):
            train_s, evaluate_s = next(times)
            yield replace(report, train_s=train_s, evaluate_s=evaluate_s)

    monkeypatch.setattr(timing, "fit", timed)
    some = some_users("recvae", config(**SMALL), SPLIT.train, SPLIT.valid)
    assert some is not None
    how: dict[str, Any] = {"device": "cpu", "precision": "float32", "threads": 1}
    assert seconds_of_passes("recvae", config(**SMALL), *some, METRICS, **how) == (2.0, 0.5), (
        "four passes a cycle"
    )
