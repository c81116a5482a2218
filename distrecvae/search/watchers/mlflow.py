"""`--log-to mlflow`: a run for the search and one for each trial below it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Importing MLflow 3 reports that to its makers; who wants that sets the variable to false.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace

EXPERIMENT = "distrecvae"
DATABASE = "mlflow.db"
_SEARCH, _TRIAL = "distrecvae.search", "distrecvae.trial"


class MLflowLog:
    """Writes to the server of MLFLOW_TRACKING_URI, or into `mlflow.db` in the results folder; a watcher.

    A step is a data pass. After an interruption a trial's run continues where it was: steps that it has are not written
    again. The experiment is that of MLFLOW_EXPERIMENT_NAME, or `distrecvae`.
    """

    def __init__(self, *, folder: Path, space: SearchSpace, config: SearchConfig, search_id: str) -> None:
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it says how it makes its tables
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.resolve() / DATABASE}"
        self._client, self._space, self._metric = MlflowClient(tracking_uri=uri), space, config.metric
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        experiment = self._client.get_experiment_by_name(name)
        self._experiment = (
            experiment.experiment_id if experiment is not None else self._client.create_experiment(name)
        )
        self._search_id = search_id
        self._ended: set[str] = set()
        self._runs = self._known_runs()
        self._steps: dict[int, int] = {}
        self._parent = self._runs.get("search") or self._create("search", folder.name, {})

    def knows_end(self, record: TrialRecord) -> bool:
        """Tell whether the trial's run says how it ended."""
        return str(record.number) in self._ended

    def started(self, record: TrialRecord) -> None:
        """Create the trial's run with its parameters, or resume it."""
        known = self._runs.get(str(record.number))
        if known is None:
            run = self._create(
                str(record.number), f"trial {record.number}", {"mlflow.parentRunId": self._parent}
            )
            values = self._space.flatten(record.config)
            params = [Param(name, str(value)) for name, value in values.items() if value is not None]
            self._client.log_batch(run, params=params)
            self._steps[record.number] = 0
        else:
            history = self._client.get_metric_history(known, "passes")
            self._steps[record.number] = max((metric.step for metric in history), default=0)
            self._client.set_terminated(known, status="RUNNING")
        self._log_reports(record)

    def reported(self, record: TrialRecord) -> None:
        """Write the newest report."""
        self._log_reports(record)

    def ended(self, record: TrialRecord) -> None:
        """Write how the trial ended, and its score."""
        run = self._runs[str(record.number)]
        tags = [RunTag("status", str(record.status)), RunTag("reason", record.reason)]
        now = int(time.time() * 1000)
        scores = [] if record.score is None else [Metric("score", record.score, now, record.passes)]
        self._client.log_batch(run, metrics=scores, tags=tags)
        bad = record.status in (Status.DIVERGED, Status.FAILED)
        self._client.set_terminated(run, status="FAILED" if bad else "FINISHED")

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        """Write the best model's test scores into the search's run, and end it."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, 0) for name, value in scores.items()]
        self._client.log_batch(self._parent, metrics=metrics)
        self._client.set_terminated(self._parent, status="FINISHED" if complete else "KILLED")

    def _log_reports(self, record: TrialRecord) -> None:
        run, now = self._runs[str(record.number)], int(time.time() * 1000)
        for report in record.reports:
            step = int(report["passes"])
            if step > self._steps[record.number]:
                values = [(name, float(value)) for name, value in report.items() if name != "cycle"]
                self._client.log_batch(
                    run, metrics=[Metric(name, value, now, step) for name, value in values]
                )
                self._steps[record.number] = step

    def _create(self, trial: str, name: str, tags: Mapping[str, Any]) -> str:
        own = {_SEARCH: self._search_id, _TRIAL: trial, **tags}
        run: str = self._client.create_run(self._experiment, run_name=name, tags=own).info.run_id
        self._runs[trial] = run
        return run

    def _known_runs(self) -> dict[str, str]:
        """Return the ids of this search's runs by trial."""
        found: dict[str, str] = {}
        page: str | None = None
        while True:
            runs = self._client.search_runs(
                [self._experiment],
                f"tags.`{_SEARCH}` = '{self._search_id}'",
                max_results=1000,
                page_token=page,
            )
            found |= {run.data.tags[_TRIAL]: run.info.run_id for run in runs}
            self._ended |= {run.data.tags[_TRIAL] for run in runs if "status" in run.data.tags}
            page = runs.token
            if not page:
                return found
