"""What follows where a trial's worker hangs or dies: real workers that are stopped and killed, on a real Ray."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from distrecvae.data.synthetic import synthetic_split
from distrecvae.layout import LEDGER_FILE
from distrecvae.runs.trial import TrialTask
from distrecvae.runs.trial import run_trial as run_trial_for_real
from distrecvae.search.core import silence
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status
from distrecvae.search.core.room import PAUSES_S, Room
from distrecvae.search.core.rules import Never
from distrecvae.search.on_ray import trainable as worker
from distrecvae.search.on_ray import tuning
from distrecvae.search.on_ray import workers as following
from distrecvae.search.on_ray.callbacks import ConductorScheduler
from distrecvae.search.on_ray.interruption import Interruption
from distrecvae.search.on_ray.session import Session
from distrecvae.search.on_ray.trainable import MOVED
from distrecvae.search.on_ray.tuning import run_trials
from distrecvae.search.on_ray.workers import LONGEST_STEP_S, Workers, number_of
from distrecvae.search.planning.resources import Cluster, Slots
from tests import HANGS_AFTER_S
from tests.search.on_ray.test_tuning import SPACE
from tests.search.simulated import METRIC, open_conductor, toy_search_config

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)


def opened(folder: Path, **settings: Any) -> Conductor:
    config = SearchConfig(**{"trials": 1, "max_passes": 4000, "checkpoint_every_s": 0.05, **settings})
    ledger = Ledger(folder, METRIC)
    return Conductor(ledger=ledger, space=SPACE, config=config, rule=Never(), folder=folder)


def run(
    conductor: Conductor, cluster: Cluster, folder: Path, refresh: Callable[[], None], concurrent: int = 1
) -> list[str]:
    """Run the trials; return what was said."""
    said: list[str] = []
    stop, slots = Interruption(), Slots(concurrent=concurrent, cpus=1, gpus=0.0)
    data = Session(cluster, SPLIT).data
    try:
        run_trials(conductor, data, None, slots, folder, refresh=refresh, tell=said.append, stop=stop)
    finally:
        stop.over()
    return said


def trial_workers() -> list[psutil.Process]:
    """Return the workers that a trial runs on, or ran on last."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it ended meanwhile
            if "ImplicitFunc" in " ".join(process.cmdline()):
                found.append(process)
    return found


def stopping_once(conductor: Conductor, stopped: list[int]) -> Callable[[], None]:
    """Stop the worker (SIGSTOP) of the first trial that has reported five times."""

    def refresh() -> None:
        if not stopped and len(conductor.ledger.records[0].reports) >= 5:
            for process in trial_workers():
                stopped.append(process.pid)
                os.kill(process.pid, signal.SIGSTOP)

    return refresh


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_whose_worker_hangs_at_work_or_as_it_starts_is_named_and_run_again_from_its_checkpoint(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In life a network file system that is stuck, or a GPU. The search waited for it for ever, without a word; for one
    # that hung as it started, too: its trial had no worker yet that could have been silent.
    monkeypatch.setattr(silence, "NAMED_S", 2.0)
    monkeypatch.setattr(silence, "STOPPED_S", 4.0)
    stopped: list[int] = []
    starting: list[int] = []
    conductor = opened(tmp_path, max_passes=400)
    stop_once = stopping_once(conductor, stopped)

    def refresh() -> None:
        stop_once()
        if stopped and not starting:
            starting.extend(process.pid for process in trial_workers() if process.pid not in stopped)
            if starting:
                os.kill(starting[0], signal.SIGSTOP)
        # A worker that was not stopped here may take its time to start, on a machine as busy as it likes.
        hangs = any(map(psutil.pid_exists, starting or stopped))
        monkeypatch.setattr(silence, "NAMED_S", 2.0 if hangs or not stopped else 3600.0)

    said = run(conductor, cluster, tmp_path, refresh)
    assert stopped, "no worker was found to stop"
    assert starting, "no worker was seen to start"
    assert said[0].startswith("trial 0 has not reported for ")
    assert said[1].endswith(": its worker is stopped")
    assert said[2] == "trial 0: its worker was stopped; it continues from its last checkpoint"
    assert sum(line.endswith(": its worker is stopped") for line in said) >= 2, "the one that started is, too"
    record = conductor.ledger.records[0]
    assert (record.status, record.passes) == (Status.FINISHED, 400)
    assert [report["passes"] for report in record.reports] == list(range(4, 401, 4))
    assert not any(psutil.pid_exists(pid) for pid in stopped + starting), "what hangs is not left behind"


@pytest.mark.ray
@pytest.mark.slow
def test_the_time_budget_ends_a_search_whose_worker_hangs(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was looked at in reports only. It is spent two seconds after the worker hangs, however long that took to start.
    stopped: list[int] = []
    since: list[float] = []
    conductor = opened(tmp_path, trials=3, time_budget_s=3600.0)
    stop_once = stopping_once(conductor, stopped)

    def refresh() -> None:
        stop_once()
        if stopped and not since:
            since.append(time.monotonic())

    def elapsed_s(_: Conductor) -> float:
        return 3600.0 if since and time.monotonic() > since[0] + 2.0 else 0.0

    monkeypatch.setattr(Conductor, "elapsed_s", property(elapsed_s))
    assert run(conductor, cluster, tmp_path, refresh) == []
    assert stopped, "no worker was found to stop"
    assert conductor.out_of_time
    (record,) = conductor.ledger.records.values()
    assert (record.status, record.reason) == (Status.STOPPED, "time budget of 3600 s")
    assert len(record.reports) >= 5


_lost_gpu = False


def _with_a_gpu_that_is_lost_in_trial_1(broken: Path, config: dict[str, Any], **given: Any) -> None:
    """A trainable whose second trial breaks its process's GPU, once: as in life, every later call there fails."""
    real = run_trial_for_real

    def run_trial(task: TrialTask, *arguments: Any) -> Iterator[dict[str, Any]]:
        global _lost_gpu
        if task.number == 1 and not broken.exists():
            broken.touch()
            _lost_gpu = True
        if _lost_gpu:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        yield from real(task, *arguments)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(worker, "run_trial", run_trial)
        worker.trainable(config, **given)


@pytest.mark.ray
@pytest.mark.slow
def test_a_lost_gpu_costs_its_process_and_no_trial(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # All trials after it failed, in the same process, and the search ended well.
    def trainable(config: dict[str, Any], **given: Any) -> None:
        _with_a_gpu_that_is_lost_in_trial_1(tmp_path / "broken", config, **given)

    monkeypatch.setattr(tuning, "trainable", trainable)
    conductor = opened(tmp_path, trials=4, max_passes=8)
    said = run(conductor, cluster, tmp_path, lambda: None)
    assert [record.status for record in conductor.ledger.records.values()] == [Status.FINISHED] * 4
    (line,) = said
    assert line.startswith("trial 1: AcceleratorError: CUDA error: an illegal memory access was encountered")
    assert line.endswith("; its process ended, and it continues from its last checkpoint in another")


@pytest.mark.ray
@pytest.mark.slow
def test_where_room_is_for_one_trials_run_one_at_a_time(cluster: Cluster, tmp_path: Path) -> None:
    conductor = opened(tmp_path, trials=4, max_passes=40)
    conductor.room = Room(2)

    def shrink_once() -> None:
        records = conductor.ledger.records
        if len(records) > 1 and all(record.reports for record in records.values()):
            conductor.room.at_once = 1

    assert run(conductor, cluster, tmp_path, shrink_once, concurrent=2) == []
    assert [record.status for record in conductor.ledger.records.values()] == [Status.FINISHED] * 4
    order = [line["trial"] for line in reports_with_trials(tmp_path)]
    later = [number for number in order if number > 1]
    assert later == sorted(later), "trials after the first two ran beside each other"


@pytest.mark.ray
@pytest.mark.slow
def test_a_trial_that_ends_before_it_has_a_worker_leaves_its_place(cluster: Cluster, tmp_path: Path) -> None:
    # Stopped by hand as the search began, which then got by with one trial at a time: it waited for ever, for Tune
    # still counted the ended one as about to run.
    conductor = opened(tmp_path, trials=2, max_passes=40)
    conductor.room = Room(2)
    until = time.monotonic() + HANGS_AFTER_S

    def end_once() -> None:
        record = conductor.ledger.records.get(0)
        if record is not None and record.status is Status.RUNNING and not record.reports:
            conductor.failed(0, Status.STOPPED, "by hand")
            conductor.room.at_once = 1
        assert time.monotonic() < until, "nothing begins any more"

    assert run(conductor, cluster, tmp_path, end_once, concurrent=2) == []
    records = conductor.ledger.records
    assert [record.status for record in records.values()] == [Status.STOPPED, Status.FINISHED]
    assert not records[0].reports


def reports_with_trials(folder: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / LEDGER_FILE).read_text().splitlines())
    return [line for line in lines if line["kind"] == "report"]


# Without Ray: what Tune tells, and what is made of it.


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    return open_conductor(tmp_path, toy_search_config(scheduler="none"))


def tune_trial(conductor: Conductor) -> Any:
    task = conductor.next_task()
    assert task is not None
    return SimpleNamespace(
        config={"task": task.to_dict()},
        run_metadata=SimpleNamespace(num_failures=0),
        temporary_state=SimpleNamespace(ray_actor=None),
        status="RUNNING",
        pickled_error_file=None,
    )


def test_memory_that_runs_out_again_leaves_fewer_at_once_in_a_line(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "died_for_memory", lambda _: True)
    conductor.room = Room(2)
    said: list[str] = []
    workers, trials = Workers(conductor, said.append), [tune_trial(conductor) for _ in range(2)]
    for _ in range(2):
        for trial in trials:
            workers.began(trial)
        for trial in trials:
            workers.lost(trial, 1)
    plain = "memory ran out and Ray stopped its worker; it continues from its last checkpoint"
    fewer = f"{plain}; from now on 1 trial at a time instead of 2"
    assert said == [f"trial 0: {plain}", f"trial 1: {plain}", f"trial 0: {fewer}", f"trial 1: {plain}"]
    assert all(record.status is Status.RUNNING for record in conductor.ledger.records.values())


def test_trials_that_go_on_on_another_kind_of_device_are_told_of_once(conductor: Conductor) -> None:
    # On a cluster of several kinds of GPUs that is every trial that loses its node: one line says what it means.
    said: list[str] = []
    workers, trials = Workers(conductor, said.append), [tune_trial(conductor) for _ in range(2)]
    scheduler = ConductorScheduler(conductor, workers)
    for trial in trials:
        workers.began(trial)
        assert (
            scheduler.on_trial_result(None, trial, {MOVED: "Continues on one, was on another"}) == "CONTINUE"
        )
    assert said == ["trial 0: continues on one, was on another. Of others that move so nothing is said"]
    assert scheduler.on_trial_result(None, trials[0], {MOVED: "Continues on a third"}) == "CONTINUE"
    assert len(said) == 2


def test_only_a_trial_that_dies_alone_fails_for_memory(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "died_for_memory", lambda _: True)
    workers, trial = Workers(conductor, lambda _: None), tune_trial(conductor)
    record = conductor.ledger.records[0]
    for _ in range(len(PAUSES_S) + 1):
        assert record.status is Status.RUNNING
        workers.began(trial)
        workers.lost(trial, 0)
    assert record.status is Status.FAILED
    assert record.reason.startswith("memory ran out 4 times while it ran alone; lower batch_size")


def test_a_driver_that_was_stopped_does_not_take_its_trials_for_hung(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It heard nothing because it was stopped itself (SIGSTOP, a laptop's lid); its workers wait to be heard.
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    workers, trial = Workers(conductor, pytest.fail), tune_trial(conductor)
    workers.began(trial)
    workers.heard(trial, further=False)
    conductor.heard(0, {"passes": 4, "cycle": 1, METRIC: 0.1, "train_s": 0.01})
    for pause in (1.0, 3600.0, 1.0):
        now[0] += pause
        workers.step()
    assert LONGEST_STEP_S + 2.0 < silence.NAMED_S


def test_a_trial_that_ended_while_its_worker_was_at_work_is_stopped(conductor: Conductor) -> None:
    stopped: list[int] = []
    workers, trials = Workers(conductor, pytest.fail), [tune_trial(conductor) for _ in range(2)]
    controller = SimpleNamespace(
        get_live_trials=lambda: list(trials),
        stop_trial=lambda trial: stopped.append(number_of(trial)),
        _tune_controller=SimpleNamespace(_staged_trials=[]),
    )
    assert workers.may_begin(controller)
    assert stopped == []
    conductor.failed(1, Status.FAILED, "memory")
    assert workers.may_begin(controller)
    assert stopped == [1]


def test_a_trial_whose_node_is_about_to_go_is_moved_and_its_deaths_are_forgotten(
    conductor: Conductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(following, "stop_worker", lambda trial: killed.append(number_of(trial)))
    said: list[str] = []
    workers, trial = Workers(conductor, said.append), tune_trial(conductor)
    workers.began(trial)
    trial.run_metadata.num_failures = RETRIES  # one more, and Tune would give it up
    workers.move(trial)
    assert (killed, trial.run_metadata.num_failures) == ([0], 0)
    trial.run_metadata.num_failures = 1  # Tune counts the worker that was stopped
    workers.lost(trial, 0)
    assert trial.run_metadata.num_failures == 0
    assert said == ["trial 0: its node is about to go; it continues from here on another one"]
    workers.began(trial)
    workers.lost(trial, 0)
    assert "lost its process" in said[-1], "that was another death"
