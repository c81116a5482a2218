from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SAMPLERS
from distrecvae.search.core.guided import GuidedSampler
from distrecvae.search.core.samplers import STARTUP_TRIALS, StoppedAwareGP, make_sampler, starting_values
from distrecvae.search.core.sobol import SobolSampler
from distrecvae.search.core.study import quiet
from tests import ROOT
from tests.search.core.suggested import suggest

SEED = 11


def objective(point: dict[str, Any]) -> float:
    """Best, at 1, for x = 0.8 and rate = 0.01."""
    x, rate = float(point["x"]), float(point["rate"])
    return 1 - abs(x - 0.8) - abs(math.log10(rate) + 2) / 4


def open_study(path: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(storage=storage, study_name="s", direction="maximize", load_if_exists=True)


def step(study: optuna.Study, name: str, *, concurrent: int = 1) -> dict[str, Any]:
    """One trial as a search runs it: of three, one finishes, one is stopped early, every seventh fails."""
    number = len(study.trials)
    if number == 0:
        study.enqueue_trial({"x": 0.5, "rate": 1e-3, "size": 64, "branch": "gamma"})
    study.sampler = make_sampler(name, seed=SEED, trial_number=number, concurrent=concurrent)
    trial = study.ask()
    assert trial.number == number
    point = suggest(trial)
    trial.report(objective(point) - 0.2, 20)
    if number % 7 == 6:
        study.tell(trial, state=TrialState.FAIL)
    elif number % 3:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.report(objective(point), 60)
        study.tell(trial, objective(point))
    return point


@pytest.mark.parametrize("name", SAMPLERS)
class TestEverySampler:
    def test_a_reopened_study_proposes_what_it_would_have(self, tmp_path: Path, name: str) -> None:
        """Half of a search here, the rest in another process: the same points as all of it in one go.

        The history has an enqueued start, finished, stopped and failed trials. Nothing is pickled but what
        Optuna itself keeps in the journal.
        """
        uninterrupted = open_study(tmp_path / "whole")
        points = [step(uninterrupted, name) for _ in range(18)]

        first_half = open_study(tmp_path / "halves")
        assert [step(first_half, name) for _ in range(14)] == points[:14]
        code = (
            "import sys, json, pathlib, warnings; warnings.simplefilter('error')\n"
            "from tests.search.core.test_samplers import open_study, step\n"
            "study = open_study(pathlib.Path(sys.argv[1]))\n"
            "print(json.dumps([step(study, sys.argv[2]) for _ in range(4)]))"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "halves"), name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(run.stdout) == points[14:]

    def test_trials_differ_and_seeds_differ(self, name: str) -> None:
        study = optuna.create_study(direction="maximize")
        points = [step(study, name) for _ in range(12)]
        assert len({tuple(point.values()) for point in points}) == 12
        first, other = (
            optuna.create_study(sampler=make_sampler(name, seed=seed, trial_number=0)).ask()
            for seed in (SEED, SEED + 1)
        )
        assert first.suggest_float("x", 0, 1) != other.suggest_float("x", 0, 1)

    def test_says_nothing(self, name: str, capfd: pytest.CaptureFixture[str]) -> None:
        """No warning (they are errors here) and no line of Optuna's log, which a user would take for a
        problem."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction="maximize")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(STARTUP_TRIALS + 4):
                step(study, name, concurrent=2)
        said = [line for line in capfd.readouterr().err.splitlines() if "greenlet" not in line]
        assert said == []

    def test_proposes_for_many_workers_at_once(self, name: str) -> None:
        """Trials asked for before any of them ends are different ones."""
        study = optuna.create_study(direction="maximize")
        for _ in range(STARTUP_TRIALS + 2):
            step(study, name)
        asked = []
        for _ in range(4):
            study.sampler = make_sampler(name, seed=SEED, trial_number=len(study.trials), concurrent=8)
            asked.append(tuple(suggest(study.ask()).values()))
        assert len(set(asked)) == 4


@pytest.mark.parametrize("name", ["tpe", "guided", "cmaes"])
def test_learns_from_finished_and_stopped_trials(name: str) -> None:
    """After 25 trials, two thirds of them stopped, proposals are nearer to the best point than random
    ones."""
    study = optuna.create_study(direction="maximize")
    points = [step(study, name) for _ in range(40)]
    random = optuna.create_study(direction="maximize")
    blind = [step(random, "random") for _ in range(40)]
    assert np.mean([objective(p) for p in points[-15:]]) > np.mean([objective(p) for p in blind]) + 0.1


def test_the_gaussian_process_sees_stopped_trials() -> None:
    """Optuna's own does not: as long as all trials were stopped, it draws at random."""
    study = optuna.create_study(direction="maximize")
    for number in range(STARTUP_TRIALS + 1):
        study.sampler = make_sampler("random", seed=SEED, trial_number=number)
        trial = study.ask()
        trial.report(objective(suggest(trial)), 20)
        study.tell(trial, state=TrialState.PRUNED)
    frozen = study.get_trials()[-1]
    with quiet():  # Optuna 4 calls it experimental
        blind = optuna.samplers.GPSampler(n_startup_trials=STARTUP_TRIALS)
    for sampler, learns in ((blind, False), (gp(), True)):
        space = sampler.infer_relative_search_space(study, frozen)
        assert bool(sampler.sample_relative(study, frozen, space)) is learns


def gp() -> optuna.samplers.BaseSampler:
    return make_sampler("gp", seed=SEED, trial_number=STARTUP_TRIALS + 1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tpe", optuna.samplers.TPESampler),
        ("guided", GuidedSampler),
        ("random", optuna.samplers.RandomSampler),
        ("cmaes", optuna.samplers.CmaEsSampler),
        ("gp", StoppedAwareGP),
        ("qmc", SobolSampler),
    ],
)
def test_each_name_stands_for_its_algorithm(name: str, kind: type) -> None:
    """Any of them keeps the promises that all of them share: under another's name, too, nothing failed."""
    assert type(make_sampler(name, seed=SEED, trial_number=0)) is kind
    assert type(make_sampler(name, seed=SEED, trial_number=0, concurrent=8)) is kind


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown sampler 'tpa'; choose from tpe, .*; did you mean 'tpe'"):
        make_sampler("tpa", seed=0, trial_number=0)


@pytest.mark.parametrize(
    ("name", "package"), [("cmaes", "cmaes"), ("gp", "torch"), ("guided", "scipy"), ("qmc", "scipy")]
)
def test_a_missing_package_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda p: None if p == package else found(p))
    with pytest.raises(ConfigError, match=f"sampler '{name}' needs {package}.*: pip install {package}$"):
        make_sampler(name, seed=0, trial_number=0)


START = {"a": 1, "b": 2.0, "mix/0": 0.15, "mix/1": 0.9, "kind": "x", "kind/x/c": 3.0}


def test_the_first_trial_is_the_start() -> None:
    for name in SAMPLERS:
        assert starting_values(name, START, seed=1, trial_number=0) == START


def test_startup_trials_keep_about_half_of_the_start_and_groups_whole() -> None:
    drawn = [
        starting_values("tpe", START, seed=s, trial_number=n)
        for s in range(50)
        for n in range(1, STARTUP_TRIALS)
    ]
    assert all(values.items() <= START.items() for values in drawn)
    for group in (("a",), ("b",), ("mix/0", "mix/1"), ("kind", "kind/x/c")):
        kept = [all(key in values for key in group) for values in drawn]
        assert kept == [any(key in values for key in group) for values in drawn]
        assert 0.4 < sum(kept) / len(kept) < 0.6


@pytest.mark.parametrize(
    "start", [{"a": 1}, {"a": 1, "mix/0": 0.2, "mix/1": 0.3}, {}], ids=["1", "2", "none"]
)
def test_startup_trials_never_repeat_the_start(start: dict[str, Any]) -> None:
    drawn = [starting_values("tpe", start, seed=s, trial_number=1) for s in range(60)]
    assert all(values != start for values in drawn) or not start


def test_startup_trials_depend_on_seed_and_number_only() -> None:
    again = starting_values("gp", dict(reversed(START.items())), seed=3, trial_number=4)
    assert again == starting_values("gp", START, seed=3, trial_number=4)


def test_later_trials_and_samplers_of_whole_spaces_start_from_nothing() -> None:
    assert starting_values("tpe", START, seed=1, trial_number=STARTUP_TRIALS) == {}
    for name in ("guided", "random", "qmc", "cmaes"):
        assert starting_values(name, START, seed=1, trial_number=1) == {}
