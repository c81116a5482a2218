"""What MLflow is told, read back by its own client, without a network: every report once, a run a trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.trackers import Tolerant, make_loggers
from tests.search.reported import make_search

SPACE = SearchSpace.load("recvae-demo")

pytestmark = pytest.mark.filterwarnings("default")  # MLflow's own


def open_logger(folder: Path, ledger: Ledger, said: list[str]) -> Tolerant:
    config = SearchConfig(data="data/toy", trials=6, max_passes=20, log_to="mlflow")
    *_, logger = make_loggers(  # the first one is the study's journal
        config, folder=folder, space=SPACE, ledger=ledger, started="2026", tell=said.append
    )
    return logger


def cut(record: TrialRecord, n_reports: int) -> TrialRecord:
    """Return the trial as it was after so many reports."""
    return replace(
        record, status=Status.RUNNING, reports=record.reports[:n_reports], best=record.best[:n_reports]
    )


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Return what opens the log of a search, by the search's id."""
    pytest.importorskip("mlflow")
    from distrecvae.search.watchers.mlflow import MLflowLog

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)

    def opened(search_id: str = "a") -> Any:
        return MLflowLog(folder=tmp_path, space=SPACE, config=SearchConfig(), search_id=search_id)

    return opened


def runs(folder: Path, experiment: str = "distrecvae") -> dict[str, Any]:
    """Return the runs in the folder's database by name."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.info.run_name: run for run in found}


def steps(folder: Path, run: Any, name: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]


def record(number: int, *scores: float, status: Status = Status.RUNNING, reason: str = "") -> TrialRecord:
    trial = TrialRecord(number, SPACE.default_config(), status, reason=reason)
    for n, score in enumerate(scores, 1):
        trial.reports.append({"passes": 4 * n, "cycle": n, "valid/ndcg_100": score})
        trial.best.append(max(scores[:n]))
    return trial


def test_mlflow_has_every_report_once_and_each_trial_under_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    ledger, said = make_search(tmp_path, space=SPACE, trials=6, max_passes=20), list[str]()
    records, empty = ledger.records, Ledger(made(tmp_path / "empty"), "valid/ndcg_100")
    # Trial 0 is interrupted after two reports; a later run resumes it and is told of all others.
    first = open_logger(tmp_path, empty, said)
    first.started(cut(records[0], 1))
    first.reported(cut(records[0], 2))
    first.finish(complete=False, scores={})
    again = open_logger(tmp_path, ledger, said)
    open_logger(tmp_path, ledger, said)  # a third run has nothing to add
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


def test_a_run_says_how_its_trial_ended(log: Callable[..., Any], tmp_path: Path) -> None:
    written = log()
    ends = {
        0: record(0, 0.2, 0.4, 0.3, status=Status.FINISHED),
        1: record(1, 0.3, status=Status.STOPPED, reason="asha at 4 passes"),
        2: record(2, 0.3, status=Status.DIVERGED, reason="loss is nan"),
        3: record(3, 0.3, status=Status.FAILED, reason="no memory"),
    }
    for trial in ends.values():
        written.started(trial)
        written.ended(trial)
    found = runs(tmp_path)
    status = {n: found[f"trial {n}"].info.status for n in ends}
    assert status == {0: "FINISHED", 1: "FINISHED", 2: "FAILED", 3: "FAILED"}
    assert [found[f"trial {n}"].data.tags["reason"] for n in ends] == [t.reason for t in ends.values()]
    assert steps(tmp_path, found["trial 0"], "score") == [(12, 0.4)]
    assert found["trial 2"].data.metrics["score"] == 0.0
    assert "score" not in found["trial 3"].data.metrics


def test_an_end_that_was_written_is_known_to_the_next_run_of_the_same_search(log: Callable[..., Any]) -> None:
    written = log()
    for trial in (record(0, 0.2, status=Status.FINISHED), record(1, 0.2)):
        written.started(trial)
    written.ended(record(0, 0.2, status=Status.FINISHED))
    assert [log().knows_end(record(number)) for number in (0, 1, 2)] == [True, False, False]
    assert not log("b").knows_end(record(0)), "another search may write to the same server"


def test_a_trial_that_goes_on_is_written_into_its_run_from_where_it_was(
    log: Callable[..., Any], tmp_path: Path
) -> None:
    first = log()
    first.started(record(0, 0.1))
    first.reported(record(0, 0.1, 0.2))
    again = log()
    again.started(record(0, 0.1, 0.2, 0.3))  # a report was in the ledger and not yet here
    again.reported(record(0, 0.1, 0.2, 0.3, 0.4))
    found = runs(tmp_path)
    assert set(found) == {tmp_path.name, "trial 0"}
    assert found["trial 0"].info.status == "RUNNING"
    assert steps(tmp_path, found["trial 0"], "valid/ndcg_100") == [(4, 0.1), (8, 0.2), (12, 0.3), (16, 0.4)]
    assert steps(tmp_path, found["trial 0"], "cycle") == [], "a step is a pass"


def test_a_search_that_did_not_end_is_said_to_be_killed(log: Callable[..., Any], tmp_path: Path) -> None:
    log().finish(complete=False, scores={})
    assert runs(tmp_path)[tmp_path.name].info.status == "KILLED"
    log().finish(complete=True, scores={"test/recall_20": 0.5})
    found = runs(tmp_path)
    assert list(found) == [tmp_path.name]
    assert (found[tmp_path.name].info.status, found[tmp_path.name].data.metrics) == (
        "FINISHED",
        {"test/recall_20": 0.5},
    )


def test_mlflows_own_variables_say_where_to_and_under_which_name(
    log: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server").mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'server' / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    log("a").started(record(0))
    log("b")  # the experiment is there already
    assert set(runs(tmp_path / "server", "mine")) == {tmp_path.name, "trial 0"}
    assert not (tmp_path / "mlflow.db").exists()
