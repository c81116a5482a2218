"""What a worker reports of a trial: its training as it goes, and each way in which it can end; no Ray is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from distrecvae.data.shared import shared_arrays
from distrecvae.data.synthetic import synthetic_split
from distrecvae.errors import ConfigError
from distrecvae.layout import LEDGER_FILE
from distrecvae.runs.trial import TrialTask, run_trial
from distrecvae.saved.tensors import read_metadata
from distrecvae.search.on_ray import trainable as worker
from distrecvae.search.on_ray.trainable import (
    BROKEN,
    DEVICE_LOST,
    FAILURE,
    LEAVING,
    SHARE,
    SHARE_EVERY_S,
    TROUBLE,
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
def task(tmp_path: Path) -> TrialTask:
    (tmp_path / LEDGER_FILE).touch()  # a results folder that this node sees
    return TrialTask(
        number=3,
        model="recvae",
        config={"latent_dim": 4, "hidden_dim": 8, "batch_size": 20},
        seed=7,
        max_passes=8,
        metric="valid/ndcg_100",
        folder=str(tmp_path / "trials" / "00003"),
    )


def run(task: TrialTask) -> None:
    trainable({"task": task.to_dict()}, shared_arrays(SPLIT), None, threads=1, gpus=0)


def test_on_a_node_that_is_about_to_go_each_report_is_saved_first_and_says_so(
    task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The driver moves the trial upon such a report. Checkpoints are far apart otherwise.
    monkeypatch.setattr(worker, "DRAIN_EVERY_S", 0.0)
    departure = Departure()
    monkeypatch.setattr(worker, "departure_of_this_worker", lambda: departure)
    monkeypatch.setattr(worker, "own_node_is_draining", lambda: len(reports) > 0)
    saved: list[int] = []

    def told(report: dict[str, Any]) -> None:
        reports.append(report)
        saved.append(len(read_metadata(task.state_file)["history"]) if task.state_file.exists() else 0)

    monkeypatch.setattr("distrecvae.search.on_ray.trainable.tune.report", told)
    run(replace(task, max_passes=16))
    assert [LEAVING in report for report in reports] == [False, True, True, True]
    assert saved == [0, 2, 3, 4]
    reports.clear()
    task.state_file.unlink()
    run(replace(task, max_passes=4))
    assert LEAVING in reports[0], "the worker's next trial knows from its start"


def test_a_worker_has_one_departure() -> None:
    # One a trial would never look where trials are short.
    assert worker.departure_of_this_worker() is worker.departure_of_this_worker()


def test_a_trial_reports_what_it_reports_without_ray(
    task: TrialTask, reports: Reports, tmp_path: Path
) -> None:
    run(task)
    alone = replace(task, folder=str(tmp_path / "alone" / "trials" / "00003"))
    expected = list(run_trial(alone, SPLIT.train, SPLIT.valid))
    assert [report["passes"] for report in reports] == [4, 8]
    for mine, other in zip(reports, expected, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"train_s", "evaluate_s"}:
            assert mine[name] == other[name], name


def test_the_shared_arrays_may_be_read_only(task: TrialTask, reports: Reports) -> None:
    # As they come out of Ray's object store.
    data = shared_arrays(SPLIT)
    for value in data.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    trainable({"task": task.to_dict()}, data, None, threads=1, gpus=0)
    assert len(reports) == 2


def test_a_trial_that_diverges_says_so_and_ends_well(task: TrialTask, reports: Reports) -> None:
    run(replace(task, config={**task.config, "learning_rate": 1e30}))
    assert reports[-1][FAILURE] == "diverged"
    assert "lower learning_rate" in reports[-1]["reason"]


@pytest.mark.parametrize("error", [MemoryError("no room"), torch.OutOfMemoryError("no room")])
def test_a_trial_without_memory_fails_alone_and_says_why(
    error: Exception, task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "run_trial", raising(error))
    run(task)
    assert reports == [{FAILURE: "failed", "reason": "out of memory: no room"}]


def test_an_error_of_ours_is_its_reason(
    task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "run_trial", raising(ConfigError("rate is 0; it must be above 0")))
    run(task)
    assert reports == [{FAILURE: "failed", "reason": "rate is 0; it must be above 0"}]
    assert not (Path(task.folder) / "error.txt").exists()


def test_a_bug_leaves_its_traceback_beside_the_trial(
    task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(task.folder).mkdir(parents=True)
    monkeypatch.setattr(worker, "run_trial", raising(ZeroDivisionError("one\nby nothing")))
    run(task)
    assert reports == [
        {FAILURE: "failed", "reason": "ZeroDivisionError: one by nothing (see trials/00003/error.txt)"}
    ]
    assert "in raise_it" in (Path(task.folder) / "error.txt").read_text(encoding="utf-8")


def test_a_bug_is_told_though_its_traceback_cannot_be_written(
    task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(task.folder).parent.mkdir(parents=True)
    Path(task.folder).write_text("a file where the folder should be", encoding="utf-8")
    monkeypatch.setattr(worker, "run_trial", raising(ZeroDivisionError("by nothing")))
    run(task)
    assert reports == [{FAILURE: "failed", "reason": "ZeroDivisionError: by nothing"}]


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
    task: TrialTask, reports: Reports, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # It said "failed" and was given the next trials: with the error in trial 2 of 8, trials 2 to 7 failed in no time,
    # and the search ended well.
    Path(task.folder).mkdir(parents=True)
    monkeypatch.setattr(worker, "run_trial", raising(ILLEGAL))
    with pytest.raises(Left):
        run(task)
    (told,) = reports
    assert told.keys() == {BROKEN, "reason"}
    assert told["reason"].startswith("AcceleratorError: CUDA error: an illegal memory access was encountered")
    assert exits[0] == DEVICE_LOST


def test_a_gpu_that_turns_out_lost_after_the_trial_takes_the_process_along(
    task: TrialTask, reports: Reports, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Kernels run behind the host: their failure may be seen when memory is given back.
    monkeypatch.setattr(worker, "give_back_memory", raising(ILLEGAL))
    with pytest.raises(Left):
        run(task)
    assert [report["passes"] for report in reports] == [4, 8], "the trial itself stands"
    assert exits == [DEVICE_LOST]


def test_a_node_without_the_results_folder_ends_the_search_and_not_the_trial(
    task: TrialTask, reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LEDGER_FILE).unlink()
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.7")
    run(task)
    (told,) = reports
    assert told.keys() == {TROUBLE}
    assert "is not shared with node 10.0.0.7" in told[TROUBLE]


def test_the_share_of_a_long_step_is_told_now_and_then(
    task: TrialTask, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For each report the worker waits for the driver.
    clock = [0.0]
    monkeypatch.setattr("distrecvae.pacing.time.monotonic", lambda: clock[0])

    def solving(*arguments: Any) -> Reports:
        progress = arguments[4]
        for share in (0.1, 0.2, 0.3, 0.4):
            clock[0] += 0.6 * SHARE_EVERY_S
            progress(share)
        return []

    monkeypatch.setattr(worker, "run_trial", solving)
    run(task)
    assert reports == [{SHARE: 0.2}, {SHARE: 0.4}]


def raising(error: Exception) -> Any:
    def raise_it(*_: object) -> None:
        raise error

    return raise_it
