"""What a worker reports of a trial: its training as it goes, and each way in which it can end; no Ray is started."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from distrecvae.data.shared import shared_arrays
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError, DistrecvaeError
from distrecvae.runs.trial import TrialTask, run_trial
from distrecvae.saved.places import StateFile, StatePlace
from distrecvae.saved.tensors import read_metadata
from distrecvae.search.on_ray import trainable as worker
from distrecvae.search.on_ray.lent import NotWantedError, RefusedError
from distrecvae.search.on_ray.trainable import (
    BROKEN,
    DEVICE_LOST,
    FAILURE,
    LEAVING,
    MOVED,
    REFUSED,
    SHARE,
    SHARE_EVERY_S,
    TO_GO,
    TRACEBACK,
    Departure,
    trainable,
)

SPLIT = synthetic_split(n_users=100, n_items=60, seed=1)
Reports = list[dict[str, Any]]


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Reports:
    """What Tune is told."""
    told: Reports = []
    monkeypatch.setattr("distrecvae.search.on_ray.trainable.tune.report", told.append)
    return told


@pytest.fixture
def task() -> TrialTask:
    return TrialTask(
        number=3,
        model="recvae",
        config={"latent_dim": 4, "hidden_dim": 8, "batch_size": 20},
        seed=7,
        max_passes=8,
        metric="valid/ndcg_100",
    )


class Places:
    """In the place of what the driver keeps: files here, or what a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.refuses: OSError | DistrecvaeError | None = None
        self.paused = False

    def pausing(self) -> bool:
        return self.paused

    def telling(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def of(self, training: str) -> StatePlace:
        assert training == "trials/00003"
        if self.refuses is None:
            return StateFile(self.folder / "state")
        return SimpleNamespace(load=lambda: None, save=raising(self.refuses), name="")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def run(task: TrialTask, places: Any, data: Any = None) -> None:
    data = shared_arrays(SPLIT) if data is None else data
    trainable({"task": task.to_dict()}, data, None, places, threads=1, gpus=0)


def test_on_a_node_that_is_about_to_go_each_report_is_saved_first_and_says_so(
    task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver moves the trial upon such a report. Checkpoints are far apart otherwise.
    monkeypatch.setattr(worker, "DRAIN_EVERY_S", 0.0)
    departure = Departure()
    monkeypatch.setattr(worker, "departure_of_this_worker", lambda: departure)
    monkeypatch.setattr(worker, "own_node_is_draining", lambda: len(reports) > 0)
    saved: list[int] = []

    def told(report: dict[str, Any]) -> None:
        reports.append(report)
        state = places.folder / "state"
        saved.append(len(read_metadata(state)["history"]) if state.exists() else 0)

    monkeypatch.setattr("distrecvae.search.on_ray.trainable.tune.report", told)
    run(replace(task, max_passes=16), places)
    assert [LEAVING in report for report in reports] == [False, True, True, True]
    assert saved == [0, 2, 3, 4]
    reports.clear()
    (places.folder / "state").unlink()
    run(replace(task, max_passes=4), places)
    assert LEAVING in reports[0], "the worker's next trial knows from its start"


def test_where_the_search_is_paused_each_report_is_saved_first_and_says_so(
    task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "DRAIN_EVERY_S", 0.0)
    departure = Departure()
    monkeypatch.setattr(worker, "departure_of_this_worker", lambda: departure)
    monkeypatch.setattr(worker, "own_node_is_draining", lambda: False)
    run(replace(task, max_passes=8), places)
    assert [LEAVING in report for report in reports] == [False, False]
    reports.clear()
    (places.folder / "state").unlink()
    places.paused = True
    run(replace(task, max_passes=12), places)
    assert [LEAVING in report for report in reports[1:]] == [True, True]


def test_a_worker_has_one_departure() -> None:
    # One a trial would never look where trials are short.
    assert worker.departure_of_this_worker() is worker.departure_of_this_worker()


def test_a_trial_reports_what_it_reports_without_ray(
    task: TrialTask, places: Places, reports: Reports, tmp_path: Path
) -> None:
    run(task, places)
    expected = list(run_trial(task, StateFile(tmp_path / "alone"), SPLIT.train, SPLIT.valid))
    assert [report["passes"] for report in reports] == [4, 8]
    for mine, other in zip(reports, expected, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"train_s", "evaluate_s"}:
            assert mine[name] == other[name], name


def test_the_shared_arrays_may_be_read_only(task: TrialTask, places: Places, reports: Reports) -> None:
    # As they come out of Ray's object store.
    data = shared_arrays(SPLIT)
    for value in data.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    run(task, places, data)
    assert len(reports) == 2


def test_a_trial_that_diverges_says_so_and_ends_well(
    task: TrialTask, places: Places, reports: Reports
) -> None:
    run(replace(task, config={**task.config, "learning_rate": 1e30}), places)
    assert reports[-1][FAILURE] == "diverged"
    assert "lower learning_rate" in reports[-1]["reason"]


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("no room")])
def test_a_trial_without_memory_fails_alone_and_says_why(
    error: Exception, task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "run_trial", raising(error))
    run(task, places)
    assert reports == [{FAILURE: "failed", "reason": "out of memory: no room"}]


def test_an_error_of_ours_is_its_reason(
    task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "run_trial", raising(ConfigError("rate is 0; it must be above 0")))
    run(task, places)
    assert reports == [{FAILURE: "failed", "reason": "rate is 0; it must be above 0"}]


def test_a_bug_is_told_with_its_traceback(
    task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "run_trial", raising(ZeroDivisionError("one\nby nothing")))
    run(task, places)
    (told,) = reports
    assert (told[FAILURE], told["reason"]) == ("failed", "ZeroDivisionError: one by nothing")
    assert "in raise_it" in told[TRACEBACK]


def test_storage_that_refuses_a_state_ends_the_search_with_its_own_words(
    task: TrialTask, places: Places, reports: Reports
) -> None:
    places.refuses = RefusedError(errno.ENOSPC, "No space left on device", "/results/state")
    run(task, places)
    assert reports[-1] == {REFUSED: [errno.ENOSPC, "No space left on device", "/results/state"]}


def test_a_trial_that_goes_on_elsewhere_is_left_without_a_word(
    task: TrialTask, places: Places, reports: Reports
) -> None:
    places.refuses = NotWantedError("its trial continues elsewhere")
    run(task, places)
    assert [report["passes"] for report in reports] == [4], "it has trained on and knows nothing of it"


class Left(BaseException):
    """In the place of a process's end."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses that the process would have ended with."""
    found: list[int] = []

    def leave(status: int) -> None:
        found.append(status)
        raise Left

    monkeypatch.setattr("distrecvae.search.on_ray.trainable.os._exit", leave)
    return found


ILLEGAL = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nmore of it")


def test_a_process_that_has_lost_its_gpu_says_so_and_ends(
    task: TrialTask, places: Places, reports: Reports, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It said "failed" and was given the next trials: with the error in trial 2 of 8, trials 2 to 7 failed in no time,
    # and the search ended well.
    monkeypatch.setattr(worker, "run_trial", raising(ILLEGAL))
    with pytest.raises(Left):
        run(task, places)
    (told,) = reports
    assert told.keys() == {BROKEN, "reason", TRACEBACK}
    assert told["reason"].startswith("AcceleratorError: CUDA error: an illegal memory access was encountered")
    assert exits[0] == DEVICE_LOST


def test_a_gpu_that_turns_out_lost_after_the_trial_takes_the_process_along(
    task: TrialTask, places: Places, reports: Reports, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kernels run behind the host: their failure may be seen when memory is given back.
    monkeypatch.setattr(worker, "give_back_memory", raising(ILLEGAL))
    with pytest.raises(Left):
        run(task, places)
    assert [report["passes"] for report in reports] == [4, 8], "the trial itself stands"
    assert exits == [DEVICE_LOST]


def test_the_share_of_a_long_step_is_told_now_and_then(
    task: TrialTask, places: Places, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For each report the worker waits for the driver.
    clock = [0.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])

    def solving(*arguments: Any) -> Reports:
        progress = arguments[5]
        for share in (0.1, 0.2, 0.3, 0.4):
            clock[0] += 0.6 * SHARE_EVERY_S
            progress(share)
        return []

    monkeypatch.setattr(worker, "run_trial", solving)
    run(task, places)
    assert reports == [{SHARE: 0.2, TO_GO: pytest.approx(9.6)}, {SHARE: 0.4, TO_GO: pytest.approx(7.2)}]


@pytest.mark.cuda
def test_a_trial_that_was_on_another_kind_of_device_tells_its_driver_first(
    task: TrialTask, places: Places, reports: Reports
) -> None:
    run(replace(task, device="cuda"), places)
    reports.clear()
    run(replace(task, max_passes=12), places)
    assert reports[0].keys() == {MOVED}
    assert reports[0][MOVED].startswith("Continues on cpu, was on ")
    assert [report["passes"] for report in reports[1:]] == [8, 12]


def raising(error: Exception) -> Any:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it
