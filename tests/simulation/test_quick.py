"""Optuna, made cheaper for the nights, draws what it draws and keeps what it keeps."""

from __future__ import annotations

import copy
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial
from optuna.trial import _trial as trials

from tests.simulation import night
from tests.simulation.checks import check
from tests.simulation.plan import draw
from tests.simulation.quick import quick

RANGES = {
    "whole": IntDistribution(1, 100),
    "stepped": IntDistribution(8, 32, step=8),
    "whole_log": IntDistribution(8, 256, log=True),
    "real": FloatDistribution(-1.0, 3.0),
    "real_stepped": FloatDistribution(0.0, 1.0, step=0.25),
    "real_log": FloatDistribution(1e-4, 1.0, log=True),
    "choice": CategoricalDistribution(["a", "b", "c"]),
}


def _study(inside: AbstractContextManager[None]) -> list[FrozenTrial]:
    with inside:
        study = optuna.create_study(direction="maximize")
        for number in range(30):
            study.sampler = RandomSampler(seed=number)
            if number % 7 == 0:
                study.enqueue_trial({"whole": 50, "choice": "b"})
            trial = study.ask(RANGES)
            trial.report(0.5, 4)
            trial.set_user_attr("config", {"number": number})
            study.tell(trial, number / 10)
        return study.get_trials()


def _without_times(trials: list[FrozenTrial]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in vars(trial).items() if "datetime" not in name} for trial in trials
    ]


def test_a_study_is_the_same() -> None:
    assert _without_times(_study(quick())) == _without_times(_study(nullcontext()))


def test_an_added_trial_is_one_of_its_own() -> None:
    with quick():
        study = optuna.create_study()
        template = _study(nullcontext())[0]
        study.add_trial(template)
        study.add_trial(template)
        first, second = study.get_trials(deepcopy=False)
    assert (first.number, second.number) == (0, 1)
    assert first.params == second.params == template.params
    assert all("__deepcopy__" not in vars(trial) for trial in (first, second, template))


def test_samplers_at_the_same_time_do_not_share_a_state() -> None:
    def drawn() -> list[Any]:
        one, other = RandomSampler(seed=1), RandomSampler(seed=2)
        study: Any = None
        return [
            sampler.sample_independent(study, study, "real", RANGES["real"])
            for sampler in (one, other, one, other)
        ]

    with quick():
        drawn()  # gives its states back
        quickly = drawn()
    assert quickly == drawn()


def test_afterwards_optuna_is_as_it_was() -> None:
    before = RandomSampler.sample_independent, InMemoryStorage.create_new_trial
    with quick():
        pass
    assert before == (RandomSampler.sample_independent, InMemoryStorage.create_new_trial)
    assert type(RandomSampler(seed=1)._rng) is LazyRandomState
    assert vars(trials)["copy"] is copy


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 21, 23, 26, 41, 42, 46, 51, 96, 99])
def test_nights_come_out_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    quickly = check(draw(seed))
    monkeypatch.setattr(night, "quick", nullcontext)
    usually = check(draw(seed))
    assert {name: bytes(file.seen) for name, file in quickly.disk.files.items()} == {
        name: bytes(file.seen) for name, file in usually.disk.files.items()
    }
    assert quickly.hit == usually.hit
