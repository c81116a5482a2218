"""Owns the ledger: what a search has asked, heard and decided, on disk before it takes effect.

Two append-only files in the results folder are the only truth about a search; Ray Tune merely executes trials, and
tables, event files and summaries are views.

- `study.journal`: an Optuna study (`optuna-dashboard` opens it): suggestions, running bests, outcomes.
- `history.jsonl`: every report whole, a JSON object a line.

A line counts once it ends in a newline. Whatever is killed when, a torn last line is cut off on opening, so the files
hold a prefix of what happened and a resumed search goes on from there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from distrecvae.errors import ResultsError
from distrecvae.search.core.optuna_internals import creates_a_trial, stored_id
from distrecvae.search.core.rules import Curve
from distrecvae.search.core.study import CONFIG_KEY, STUDY_FILE, STUDY_NAME, NoLock, cut_torn_line, quiet

HISTORY_FILE = "history.jsonl"

Suggest = Callable[[optuna.trial.Trial], dict[str, Any]]


class Status(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    FINISHED = "finished"
    """Spent its whole budget."""
    STOPPED = "stopped"
    """Ended early: by the stopping rule or the time budget."""
    DIVERGED = "diverged"
    """Its loss was not finite: score 0."""
    FAILED = "failed"
    """Its process died again and again, or raised: no score."""


@dataclass
class TrialRecord:
    """One trial: its configuration, everything it reported, and how it ended.

    Attributes:
        number: 0-based, in the order of suggestion.
        config: the model's configuration, JSON-able.
        status: where it stands.
        reports: flat metrics by report, passes increasing.
        best: for each report the best value of the selection metric so far.
        reason: why it ended, for people.
        share: of its step that is done, where its model tells; what has been reported is not part of it.
    """

    number: int
    config: dict[str, Any]
    status: Status = Status.RUNNING
    reports: list[dict[str, Any]] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    reason: str = ""
    share: float = 0.0

    @property
    def score(self) -> float | None:
        """Best value of the selection metric; 0 for a diverged trial; None before the first report or if it failed."""
        if self.status is Status.DIVERGED:
            return 0.0
        if self.status is Status.FAILED or not self.best:
            return None
        return self.best[-1]

    @property
    def passes(self) -> int:
        """Data passes reported."""
        return int(self.reports[-1]["passes"]) if self.reports else 0

    @property
    def duration_s(self) -> float:
        """Seconds of training and evaluation reported."""
        return float(sum(r.get("train_s", 0.0) + r.get("evaluate_s", 0.0) for r in self.reports))

    def best_report(self, metric: str) -> dict[str, Any] | None:
        """Return the first report with the best value of `metric`, or None before the first report."""
        return max(self.reports, key=lambda r: float(r[metric]), default=None)


class Ledger:
    """The study and the history of one search; the only writer of both (the driver holds the folder's lock).

    Args:
        folder: the results folder; the files are made in it where there are none.
        metric: the key of the reports that is maximised, such as `valid/ndcg_100`.

    Raises:
        ResultsError: a file is damaged before its last line.
    """

    def __init__(self, folder: Path, metric: str) -> None:
        self._metric = metric
        for name in (STUDY_FILE, HISTORY_FILE):
            cut_torn_line(folder / name)
        _roll_back_half_asked(folder / STUDY_FILE)
        with quiet():
            self._storage = JournalStorage(JournalFileBackend(str(folder / STUDY_FILE), lock_obj=NoLock()))
            try:
                self._study = optuna.load_study(study_name=STUDY_NAME, storage=self._storage)
            except KeyError:
                self._study = optuna.create_study(
                    storage=self._storage, study_name=STUDY_NAME, direction="maximize"
                )
        self.records: dict[int, TrialRecord] = {}
        self._ids: dict[int, int] = {}
        self._curves: dict[int, Curve] = {}
        self._history = folder / HISTORY_FILE
        self._load(self._history)

    def ask(
        self,
        make_sampler: Callable[[int], optuna.samplers.BaseSampler],
        suggest: Suggest,
        starting_values: Callable[[int], Mapping[str, Any]],
    ) -> TrialRecord:
        """Return a new trial with a configuration: `starting_values` of its number, the rest by the sampler.

        The sampler is made for this one suggestion from the trial's number, so nothing of it needs saving.
        """
        number = len(self._study.get_trials(deepcopy=False))
        with quiet():
            if values := dict(starting_values(number)):
                self._study.enqueue_trial(values)
            self._study.sampler = make_sampler(number)
            trial = self._study.ask()
            config = suggest(trial)
            trial.set_user_attr(CONFIG_KEY, config)
        self._ids[number] = stored_id(trial)
        record = self.records[number] = TrialRecord(number, config)
        return record

    def asked(self, number: int) -> optuna.trial.FrozenTrial:
        """Return the trial as Optuna has it; it is to be read only."""
        return self._storage.get_trial(self._ids[number])

    def unfinished(self) -> list[TrialRecord]:
        """Return the trials that are under way, or were when the search was interrupted, by number."""
        return [record for record in self.records.values() if record.status is Status.RUNNING]

    def report(self, number: int, metrics: Mapping[str, Any]) -> bool:
        """Write down one report; return False if its passes were reported before (a trial repeats after a restart)."""
        record = self.records[number]
        if record.status is not Status.RUNNING or metrics["passes"] <= record.passes:
            return False
        self.append(json.dumps({"trial": number, **metrics}, separators=(",", ":"), allow_nan=False) + "\n")
        self._take(record, dict(metrics))
        self._storage.set_trial_intermediate_value(self._ids[number], record.passes, record.best[-1])
        return True

    def append(self, line: str) -> None:
        """Append one line to the history and wait until it is on disk."""
        with self._history.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def end(self, number: int, status: Status, reason: str) -> None:
        """Write down how a trial ended; a second ending of the same trial is ignored."""
        record = self.records[number]
        if record.status is not Status.RUNNING:
            return
        self._storage.set_trial_user_attr(self._ids[number], "reason", reason)
        self._storage.set_trial_user_attr(self._ids[number], "status", str(status))
        record.status, record.reason = status, reason
        score = record.score
        if status is Status.STOPPED and score is not None:
            # Optuna's TPE ranks pruned trials by how far they got, then by value.
            self._study.tell(number, state=TrialState.PRUNED)
        elif score is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, score)

    def curves(self) -> dict[int, Curve]:
        """Return each trial's (passes, running best) points: what stopping rules judge by."""
        for number, record in self.records.items():
            if number not in self._curves:
                passes = (int(report["passes"]) for report in record.reports)
                self._curves[number] = Curve(number, tuple(zip(passes, record.best, strict=True)))
        return {n: curve for n, curve in self._curves.items() if self.records[n].status is not Status.FAILED}

    def best(self) -> TrialRecord | None:
        """Return the trial with the best score, the earliest of equals; None while there is no score."""
        scored = [r for r in self.records.values() if r.score is not None]
        return max(scored, key=lambda r: (r.score or 0.0, -r.number), default=None)

    def _take(self, record: TrialRecord, metrics: dict[str, Any]) -> None:
        value = float(metrics[self._metric])
        record.best.append(max(value, record.best[-1]) if record.best else value)
        record.reports.append(metrics)
        self._curves.pop(record.number, None)

    def _load(self, history: Path) -> None:
        for frozen in self._study.get_trials(deepcopy=False):
            self._ids[frozen.number] = stored_id(frozen)
            self.records[frozen.number] = TrialRecord(frozen.number, frozen.user_attrs[CONFIG_KEY])
        for position, line in enumerate(history.read_bytes().splitlines()):
            try:
                metrics = json.loads(line)
                record = self.records[metrics.pop("trial")]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise _damaged(history, position + 1) from error
            if metrics["passes"] > record.passes:
                self._take(record, metrics)
        for frozen in self._study.get_trials(deepcopy=False):
            record = self.records[frozen.number]
            if frozen.state.is_finished():
                record.status = Status(frozen.user_attrs["status"])
                record.reason = frozen.user_attrs["reason"]
                continue
            # Killed between the two files: the history is ahead by at most one report.
            for metrics, best in zip(record.reports, record.best, strict=True):
                if metrics["passes"] not in frozen.intermediate_values:
                    self._storage.set_trial_intermediate_value(stored_id(frozen), metrics["passes"], best)


def _damaged(path: Path, line: int) -> ResultsError:
    return ResultsError(f"{path}: line {line} is damaged; restore the file or start anew in another folder")


def _roll_back_half_asked(path: Path) -> None:
    """Cut off a last trial that was created but not configured: asking again draws the same one, whole.

    Asking writes several lines (the trial, its parameters, what the sampler remembers, the configuration last). With
    only some of them, the next draws would not be those that were due.
    """
    created, configured, offset = None, True, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
                if creates_a_trial(entry):
                    created, configured = offset, False
                elif CONFIG_KEY in entry.get("user_attr", {}):
                    configured = True
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise _damaged(path, number) from error
            offset += len(line)
    if created is not None and not configured:
        os.truncate(path, created)
