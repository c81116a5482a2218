"""`--log-to wandb`: a run for each trial, the search is their group."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace

PROJECT = "distrecvae"


class WandbLog:
    """Writes where wandb's own environment variables say (WANDB_MODE, WANDB_PROJECT, WANDB_BASE_URL, ...); a watcher.

    A step is a data pass. A trial's run has the same id after an interruption, so that it is resumed; wandb drops
    steps that it has. Local files lie in the results folder.
    """

    def __init__(self, *, folder: Path, space: SearchSpace, config: SearchConfig, search_id: str) -> None:
        self._folder, self._space, self._search_id = folder.resolve(), space, search_id
        self._model = config.model
        self._runs: dict[int, Any] = {}

    def knows_end(self, record: TrialRecord) -> bool:
        """Tell whether the trial was written before: wandb's local files have its run."""
        return any((self._folder / "wandb").glob(f"*run-*-{self._search_id}-{record.number:05d}"))

    def started(self, record: TrialRecord) -> None:
        """Open the trial's run with its parameters and what it reported before."""
        run = self._runs[record.number] = self._open(
            f"{record.number:05d}", f"trial {record.number}", self._space.flatten(record.config)
        )
        for report in record.reports:
            if report["passes"] >= run.step:
                run.log(dict(report), step=int(report["passes"]))

    def reported(self, record: TrialRecord) -> None:
        """Write the newest report."""
        self._runs[record.number].log(dict(record.reports[-1]), step=record.passes)

    def ended(self, record: TrialRecord) -> None:
        """Write how the trial ended and its score, and close its run."""
        run = self._runs.pop(record.number)
        run.summary.update({"status": str(record.status), "reason": record.reason, "score": record.score})
        run.finish(exit_code=1 if record.status in (Status.DIVERGED, Status.FAILED) else 0)

    def finish(self, *, complete: bool, scores: Mapping[str, float]) -> None:
        """Close the runs of trials that are under way; write the best model's test scores into a run of its own."""
        for run in self._runs.values():
            run.finish(exit_code=1)
        self._runs.clear()
        if complete and scores:
            run = self._open("best", "the best model", {})
            run.summary.update(dict(scores))
            run.finish()
        wandb.teardown()  # returns when its service has written everything

    def _open(self, name: str, title: str, values: Mapping[str, Any]) -> Any:
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or PROJECT,
            group=self._folder.name,
            job_type=self._model,
            name=title,
            id=f"{self._search_id}-{name}",
            resume="allow",
            config={key: value for key, value in values.items() if value is not None},
            dir=str(self._folder),
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
