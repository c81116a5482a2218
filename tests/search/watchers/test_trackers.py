"""What a tracker is told, read back by the tracker's own client, without a network; and that it is never in the way."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distrecvae.errors import ConfigError
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.trackers import Tolerant, make_loggers, require_loggers
from tests.search.reported import make_search

SPACE = SearchSpace.load("recvae-demo")


def config(name: str) -> SearchConfig:
    return SearchConfig(data="data/toy", trials=6, max_passes=20, log_to=name)


def open_logger(name: str, folder: Path, ledger: Ledger, said: list[str]) -> Tolerant:
    [logger] = make_loggers(
        config(name), folder=folder, space=SPACE, ledger=ledger, started="2026", tell=said.append
    )
    return logger


def cut(record: TrialRecord, n_reports: int) -> TrialRecord:
    """Return the trial as it was after so many reports."""
    return replace(
        record, status=Status.RUNNING, reports=record.reports[:n_reports], best=record.best[:n_reports]
    )


class Noted:
    """A logger that notes what it is told, and fails at the `fails_at`-th thing."""

    def __init__(self, fails_at: int = 0) -> None:
        self.told: list[Any] = []
        self.fails_at = fails_at

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        if len(self.told) == self.fails_at:
            raise ConnectionError("no route to host\nmore")

    def knows_end(self, record: TrialRecord) -> bool:
        return record.number == 0

    def started(self, record: TrialRecord) -> None:
        self._note("started", record.number)

    def reported(self, record: TrialRecord) -> None:
        self._note("reported", record.number)

    def ended(self, record: TrialRecord) -> None:
        self._note("ended", record.number)

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        self._note("finish", complete, dict(scores))


def test_a_tracker_that_fails_is_told_nothing_more_and_the_search_goes_on() -> None:
    noted, said = Noted(fails_at=2), list[str]()
    logger = Tolerant(lambda: noted, "mlflow", said.append)
    record = TrialRecord(1, {})
    for hear in (logger.started, logger.reported, logger.reported, logger.ended, logger.catch_up):
        hear(record)
    logger.finish(complete=True, scores={})
    assert noted.told == [("started", 1), ("reported", 1)]
    assert said == [
        "mlflow failed and is told nothing more (ConnectionError: no route to host); all is in the results folder"
    ]

    def broken() -> Noted:
        raise ValueError("no such server")

    Tolerant(broken, "wandb", said.append).started(record)
    assert len(said) == 2
    assert "wandb failed" in said[1]


def test_trials_of_an_earlier_run_are_told_once() -> None:
    noted = Noted()
    logger = Tolerant(lambda: noted, "mlflow", print)
    for number in range(2):
        logger.catch_up(TrialRecord(number, {}, Status.FINISHED))
    assert noted.told == [("started", 1), ("ended", 1)]


def test_a_missing_package_is_said_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(
        ConfigError, match="needs mlflow-skinny, which is not installed: pip install mlflow-skinny"
    ):
        require_loggers(SearchConfig(log_to="mlflow"))
    require_loggers(SearchConfig())
    with pytest.raises(
        ConfigError, match="log_to='mlflw' is not one of mlflow, wandb; did you mean 'mlflow'"
    ):
        SearchConfig(log_to="mlflw")


@pytest.mark.filterwarnings("default")  # MLflow's own
def test_mlflow_has_every_report_once_and_each_trial_under_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    ledger, said = make_search(tmp_path, space=SPACE, trials=6, max_passes=20), list[str]()
    records, empty = ledger.records, Ledger(_made(tmp_path / "empty"), "valid/ndcg_100")
    # Trial 0 is interrupted after two reports; a later run goes on with it and is told of all others.
    first = open_logger("mlflow", tmp_path, empty, said)
    first.started(cut(records[0], 1))
    first.reported(cut(records[0], 2))
    first.finish(complete=False, scores={})
    again = open_logger("mlflow", tmp_path, ledger, said)
    open_logger("mlflow", tmp_path, ledger, said)  # a third run has nothing to add
    again.finish(complete=True, scores={"test/ndcg_100": 0.25})
    assert said == []

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("distrecvae").experiment_id
    runs = {run.info.run_name: run for run in client.search_runs([experiment])}
    assert set(runs) == {tmp_path.name, *(f"trial {n}" for n in range(6))}
    parent = runs.pop(tmp_path.name)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"test/ndcg_100": 0.25}
    for name, run in runs.items():
        record = records[int(name.split()[1])]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["status"] == str(record.status)
        assert run.info.status == "FINISHED"
        history = client.get_metric_history(run.info.run_id, "valid/ndcg_100")
        assert [(m.step, m.value) for m in history] == [
            (report["passes"], report["valid/ndcg_100"]) for report in record.reports
        ]
        assert run.data.metrics["score"] == record.score
        values = SPACE.flatten(record.config)
        assert run.data.params == {key: str(value) for key, value in values.items() if value is not None}


@pytest.mark.filterwarnings("default")  # wandb's own
def test_wandb_writes_a_run_a_trial_into_the_results_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    ledger, said = make_search(tmp_path, space=SPACE, trials=2, max_passes=8), list[str]()
    open_logger("wandb", tmp_path, ledger, said).finish(complete=True, scores={"test/ndcg_100": 0.25})
    assert said == []
    written = sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*"))
    assert len(written) == 3, "two trials and the best model"
    files = b"".join(path.read_bytes() for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    for word in (b"valid/ndcg_100", b"learning_rate", b"test/ndcg_100"):
        assert word in files
    open_logger("wandb", tmp_path, ledger, said)
    assert sorted(path.name for path in (tmp_path / "wandb").glob("offline-run-*")) == written


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
