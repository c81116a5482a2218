"""What Tune is told of deaths, dropped trials and errors of ours; no Ray is started."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import OutOfMemoryError
from ray.tune.progress_reporter import TrialProgressCallback

from distrecvae.search.core.chain import Chain
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.records import Status
from distrecvae.search.core.study import state_of
from distrecvae.search.on_ray.callbacks import ConductorCallback, ConductorScheduler, Quiet
from distrecvae.search.on_ray.interruption import StopSearch
from distrecvae.search.on_ray.trainable import FAILURE, REFUSED, TRACEBACK
from distrecvae.search.on_ray.workers import Workers
from tests.search.simulated import METRIC, open_conductor, toy_search_config


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    return open_conductor(tmp_path, toy_search_config(scheduler="none"))


def tune_trial(conductor: Conductor, deaths: int) -> Any:
    task = conductor.next_task()
    assert task is not None
    kept = SimpleNamespace(num_failures=deaths, metric_analysis={}, metric_n_steps={})
    return SimpleNamespace(
        config={"task": task.to_dict()}, run_metadata=kept, num_failures=deaths, pickled_error_file=None
    )


def report(passes: int) -> dict[str, Any]:
    return {"passes": passes, "cycle": passes // 4, METRIC: 0.1}


def test_deaths_are_forgotten_once_a_trial_gets_further(conductor: Conductor) -> None:
    scheduler, trial = (
        ConductorScheduler(conductor, Workers(conductor, print)),
        tune_trial(conductor, deaths=0),
    )
    scheduler.on_trial_result(None, trial, report(4))
    trial.run_metadata.num_failures = 2
    scheduler.on_trial_result(None, trial, report(4))
    assert trial.run_metadata.num_failures == 2, "it repeats itself"
    scheduler.on_trial_result(None, trial, report(8))
    assert trial.run_metadata.num_failures == 0


def test_a_trial_that_tune_gives_up_too_early_is_given_out_again(conductor: Conductor) -> None:
    said: list[str] = []
    callback = ConductorCallback(conductor, Workers(conductor, said.append), lambda: None)
    callback.on_trial_error(0, [], tune_trial(conductor, deaths=2))
    assert said == ["trial 0 lost its process or its node; it continues from its last checkpoint"]
    assert conductor.ledger.records[0].status is Status.RUNNING
    assert tune_trial(conductor, deaths=0).config["task"]["number"] == 0


def test_a_trial_that_dies_at_one_place_fails_and_the_sampler_hears_of_it(conductor: Conductor) -> None:
    callback = ConductorCallback(conductor, Workers(conductor, pytest.fail), lambda: None)
    callback.on_trial_error(0, [], tune_trial(conductor, deaths=RETRIES + 1))
    record = conductor.ledger.records[0]
    assert record.status is Status.FAILED
    assert "died 4 times at the same place (when memory runs out" in record.reason
    assert state_of(record).name == "FAIL"


def test_an_error_of_ours_ends_the_search_as_it_is(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler, trial = (
        ConductorScheduler(conductor, Workers(conductor, print)),
        tune_trial(conductor, deaths=0),
    )

    def full(chain: Chain, line: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Chain, "write", full)
    with pytest.raises(StopSearch) as stopped:
        scheduler.on_trial_result(None, trial, report(4))
    assert isinstance(stopped.value.cause, OSError)
    assert conductor.ledger.records[0].reports == [], "what is not on disk did not happen"


def test_a_state_that_the_storage_refused_ends_the_search_with_the_storages_words(
    conductor: Conductor,
) -> None:
    scheduler = ConductorScheduler(conductor, Workers(conductor, print))
    refused = {REFUSED: [errno.ENOSPC, "No space left on device", "/results/trials/00000/state.safetensors"]}
    with pytest.raises(StopSearch) as stopped:
        scheduler.on_trial_result(None, tune_trial(conductor, deaths=0), refused)
    cause = stopped.value.cause
    assert isinstance(cause, OSError)
    assert (cause.errno, cause.filename) == (errno.ENOSPC, "/results/trials/00000/state.safetensors")


def test_a_bugs_traceback_lies_beside_its_trial(conductor: Conductor, tmp_path: Path) -> None:
    scheduler = ConductorScheduler(conductor, Workers(conductor, print))
    told = {
        FAILURE: "failed",
        "reason": "ZeroDivisionError: by nothing",
        TRACEBACK: "Traceback ... in raise_it",
    }
    trial = tune_trial(conductor, deaths=0)
    assert scheduler.on_trial_result(None, trial, told) == "STOP"
    record = conductor.ledger.records[0]
    assert record.reason == "ZeroDivisionError: by nothing (see trials/00000/error.txt)"
    (path,) = tmp_path.rglob("trials/00000/error.txt")
    assert "in raise_it" in path.read_text(encoding="utf-8")


def test_nothing_of_tunes_own_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # `Trial trainable_2e993b94 completed. Last result: ` of each trial that ended before its first report.
    trial: Any = type("Ended", (), {"last_result": {}})()
    TrialProgressCallback().on_trial_complete(0, [], trial)
    assert "completed" in capsys.readouterr().out, "Tune keeps silent by itself now: Quiet can go"
    Quiet().on_trial_complete(0, [], trial)
    Quiet().on_trial_error(0, [], trial)
    assert capsys.readouterr().out == ""


def test_a_worker_that_was_killed_before_its_first_result_ends_no_search() -> None:
    # Ray's memory monitor did so between a trial's start and what Tune asks of it first: asked for the result, Tune
    # raised, and the whole search ended. It catches an actor's death there, not that it was killed for memory.
    class Killed:
        @property
        def last_result(self) -> dict[str, Any]:
            raise OutOfMemoryError("2 worker(s) were killed due to the node running low on memory")

    trial: Any = Killed()
    with pytest.raises(OutOfMemoryError):
        TrialProgressCallback({}).on_trial_error(0, [], trial)
    Quiet().on_trial_error(0, [], trial)
