"""Trials as Optuna has them: every ending is one of its own, and a study in memory reads as one that was optimized."""

from __future__ import annotations

import logging
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from distrecvae.search.core.records import Status, Suggestion, TrialRecord
from distrecvae.search.core.study import CONFIG_KEY, SECONDS_KEY, as_optuna_has_it, quiet, state_of, study_of
from tests.search.simulated import METRIC, SPACE, open_conductor, run_serially, toy_search_config


def record(status: Status, *values: float) -> TrialRecord:
    trial = TrialRecord(0, {"x": 1}, status)
    for cycle, value in enumerate(values, 1):
        trial.take({"passes": 4 * cycle, METRIC: value}, METRIC)
    if status is not Status.RUNNING:
        trial.ended_at = datetime.now(UTC)
    return trial


@pytest.mark.parametrize(
    ("trial", "state", "value"),
    [
        (record(Status.FINISHED, 0.2, 0.3), TrialState.COMPLETE, 0.3),
        (record(Status.STOPPED, 0.3, 0.2), TrialState.PRUNED, 0.3),
        (
            record(Status.DIVERGED, 0.2),
            TrialState.COMPLETE,
            0.0,
        ),  # as bad as can be: a sampler may learn from it
        (record(Status.DIVERGED), TrialState.COMPLETE, 0.0),
        (record(Status.FAILED, 0.9), TrialState.FAIL, None),
        (record(Status.STOPPED), TrialState.FAIL, None),  # stopped before it had a score
        (record(Status.RUNNING, 0.2), TrialState.RUNNING, None),
        (record(Status.RUNNING), TrialState.RUNNING, None),
    ],
)
def test_every_ending_is_one_of_optunas(trial: TrialRecord, state: TrialState, value: float | None) -> None:
    found = as_optuna_has_it(trial)
    assert state_of(trial) is state
    assert (found.state, found.value) == (state, value)
    assert found.intermediate_values == {
        4 * i: max(report[METRIC] for report in trial.reports[:i]) for i in range(1, len(trial.reports) + 1)
    }, "running bests"
    assert found.user_attrs == {CONFIG_KEY: {"x": 1}}


def test_a_trial_says_what_its_passes_took() -> None:
    trial = record(Status.RUNNING, 0.2, 0.3)
    assert SECONDS_KEY not in as_optuna_has_it(trial).user_attrs, "nothing was timed"
    for report, seconds in zip(trial.reports, (1.0, 3.0), strict=True):
        report.update(train_s=seconds, evaluate_s=0.5)
    assert as_optuna_has_it(trial).user_attrs[SECONDS_KEY] == 5.0 / 8


def test_times_are_the_wall_clocks_as_optunas_are() -> None:
    asked = datetime(2026, 11, 26, 12, tzinfo=UTC)
    trial = TrialRecord(0, {}, Status.FINISHED, best=[], suggestion=Suggestion(at=asked))
    trial.ended_at = asked + timedelta(minutes=5)
    found = as_optuna_has_it(trial)
    assert found.datetime_start is not None
    assert found.datetime_complete is not None
    assert found.datetime_start.tzinfo is None
    assert found.datetime_start.timestamp() == asked.timestamp()
    assert found.duration == timedelta(minutes=5)


def test_a_study_in_memory_is_what_optuna_would_have_made(tmp_path: Path) -> None:
    config = toy_search_config(trials=12, sampler="random")
    conductor = open_conductor(tmp_path, config)
    run_serially(conductor, config)
    study = study_of(conductor.ledger.records.values(), optuna.storages.InMemoryStorage())
    assert study.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [trial.number for trial in study.trials] == list(range(12))
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED, TrialState.COMPLETE}
    for trial in study.trials:
        assert SPACE.suggest(optuna.trial.FixedTrial(trial.params)) == trial.user_attrs[CONFIG_KEY]
        assert set(trial.distributions) == set(trial.params)


def test_a_trial_has_its_number_and_what_its_sampler_remembers() -> None:
    # CMA-ES continues from what it wrote down of the trials before.
    trial = TrialRecord(3, {}, suggestion=Suggestion(attrs={"cma:generation": 2}))
    found = as_optuna_has_it(trial)
    assert (found.number, found.system_attrs) == (3, {"cma:generation": 2})


class TestQuiet:
    def test_optuna_is_silent_and_as_loud_as_before_afterwards(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.INFO)
        # Optuna 4 keeps its words from the root's handlers.
        logging.getLogger("optuna").addHandler(caplog.handler)
        try:
            with quiet():
                optuna.create_study()
            study_of([record(Status.FINISHED, 0.2)], optuna.storages.InMemoryStorage())
            assert caplog.records == []
            with pytest.raises(KeyError), quiet():
                raise KeyError
            assert optuna.logging.get_verbosity() == optuna.logging.INFO
            optuna.create_study()
            assert "A new study created" in caplog.text
        finally:
            logging.getLogger("optuna").removeHandler(caplog.handler)
            optuna.logging.set_verbosity(before)

    def test_notes_about_experiments_are_kept_back_and_nothing_else(self) -> None:
        before = list(warnings.filters)
        with quiet():
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
            warnings.warn("PedAnovaImportanceEvaluator computes the importance", UserWarning, stacklevel=1)
        assert list(warnings.filters) == before, "the caller's own"
        with pytest.warns(UserWarning, match="mind this"), quiet():
            warnings.warn("mind this", UserWarning, stacklevel=1)
        with pytest.warns(optuna.exceptions.ExperimentalWarning, match="new"):
            warnings.warn("new", optuna.exceptions.ExperimentalWarning, stacklevel=1)
