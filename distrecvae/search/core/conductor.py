"""Owns the course of a search: which trial comes next, what a report leads to, when it is over. No Ray in here."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from distrecvae import rng
from distrecvae.files import write_text
from distrecvae.layout import TRACEBACK_FILE, trial_folder
from distrecvae.metrics import on_validation
from distrecvae.precisions import Precision
from distrecvae.runs.trial import TrialTask
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.room import Room
from distrecvae.search.core.rules import StoppingRule
from distrecvae.search.space.space import SearchSpace

RETRIES = 3
"""How often a trial whose process died is run again, each time from its checkpoint, before it gets any further."""


def trial_task(
    record: TrialRecord,
    config: SearchConfig,
    *,
    device: str,
    precision: Precision,
    max_passes: int | None = None,
    checkpoint_every_s: float | None = None,
    ledger: Mapping[str, Any] | None = None,
) -> TrialTask:
    """Return what is needed to run (or repeat) a trial: a trial is a function of it.

    Args:
        record: the trial.
        config: the search's settings.
        device: a torch device.
        precision: of the matrix products.
        max_passes: its budget; None for the search's.
        checkpoint_every_s: seconds between its checkpoints, at least; None for the search's.
        ledger: how long the search's ledger is.
    """
    return TrialTask(
        number=record.number,
        model=config.model,
        config=record.config,
        seed=rng.trial_seed(config.seed, record.config),
        max_passes=config.most_passes if max_passes is None else max_passes,
        metric=on_validation(config.metric),
        metrics=config.scored,
        device=device,
        precision=precision,
        checkpoint_every_s=config.checkpoint_every_s if checkpoint_every_s is None else checkpoint_every_s,
        ledger=ledger,
    )


class Watcher(Protocol):
    """Something that shows or stores the course of a search: progress, event files, tables."""

    def started(self, record: TrialRecord) -> None:
        """A trial was given out (again, after an interruption)."""

    def reported(self, record: TrialRecord) -> None:
        """A trial's new report was written down."""

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""


class Conductor:
    """Gives out trials, hears their reports, decides; the ledger is written before anything else happens.

    Args:
        ledger: the search's record, possibly of an interrupted search.
        space: what is searched.
        config: the search's settings.
        rule: decides which trials stop early.
        folder: the results folder; tracebacks are written there.
        concurrent: trials at once, for the sampler.
        device: the trials' torch device.
        precision: of the trials' matrix products.
        watchers: told of everything after it was written down.
        elapsed_s: seconds that earlier runs of this search took.
        warm_starts: Optuna parameters of the trials after the first one, whole: what another search found good.

    Attributes:
        ledger: as given.
        room: how many trials run at once, where memory ran out.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        space: SearchSpace,
        config: SearchConfig,
        rule: StoppingRule,
        folder: Path,
        concurrent: int = 1,
        device: str = "cpu",
        precision: Precision = "float32",
        watchers: Sequence[Watcher] = (),
        elapsed_s: float = 0.0,
        warm_starts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.ledger = ledger
        self._proposals = Proposals(space, config, concurrent=concurrent, warm_starts=warm_starts)
        self._config, self._rule, self._folder = config, rule, folder
        self._device, self._precision, self._watchers = device, precision, tuple(watchers)
        self._started, self._elapsed_s = time.monotonic(), elapsed_s
        self._waiting = deque(ledger.unfinished())
        self._dropped: Counter[int] = Counter()
        self.room = Room(concurrent)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began, interruptions not counted."""
        return self._elapsed_s + time.monotonic() - self._started

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        budget = self._config.time_budget_s
        return budget is not None and self.elapsed_s >= budget

    @property
    def has_work(self) -> bool:
        """Whether there is another trial to give out."""
        return not self.out_of_time and (
            bool(self._waiting) or len(self.ledger.records) < self._config.trials
        )

    def next_task(self) -> TrialTask | None:
        """Return the next trial to run: an interrupted one first, then a new one; None when there are no more."""
        self.settle()
        if not self.has_work:
            return None
        if self._waiting:
            record = self._waiting.popleft()
        else:
            by = self._proposals
            record = self.ledger.ask(by.sampler, by.space.suggest, by.starting_values, by.redraws)
        for watcher in self._watchers:
            watcher.started(record)
        return self.task(record)

    def settle(self) -> None:
        """End interrupted trials whose end is decided already: they need no worker."""
        while self._waiting:
            record = self._waiting[0]
            if record.reports and self._spent(record):
                self._end(record, Status.FINISHED, "")
            elif not self._stop(record):
                return
            self._waiting.popleft()

    def keep_time(self) -> None:
        """End what is under way once the time budget is spent: no trial has to report to hear of it."""
        if self.out_of_time:
            for record in self.ledger.unfinished():
                self._stop(record)
            self.settle()

    def heard(self, number: int, metrics: Mapping[str, Any]) -> bool:
        """Take in one report; return whether the trial must stop now."""
        record = self.ledger.records[number]
        if self.ledger.report(number, metrics):
            for watcher in self._watchers:
                watcher.reported(record)
        if record.status is not Status.RUNNING:
            return True
        self._stop(record)
        return record.status is not Status.RUNNING

    def advanced(self, number: int, share: float) -> None:
        """Take in which share of a long step is done; it is shown and not written down."""
        self.ledger.records[number].share = share

    def dropped(self, number: int) -> bool:
        """Take in that a trial was dropped for no fault of its own; return whether it is given out again."""
        record = self.ledger.records[number]
        self._dropped[number] += 1
        if record.status is not Status.RUNNING or self._dropped[number] > RETRIES:
            return False
        self._waiting.append(record)
        return True

    def reclaim(self) -> None:
        """Take back every trial that is under way: whoever ran them has ended."""
        waiting = {record.number for record in self._waiting}
        for record in self.ledger.unfinished():
            if record.number not in waiting and not self.dropped(record.number):
                self._end(record, Status.FAILED, f"it was dropped {self._dropped[record.number]} times")

    def finished(self, number: int) -> None:
        """Take in that a trial spent its budget."""
        self._end(self.ledger.records[number], Status.FINISHED, "")

    def failed(self, number: int, status: Status, reason: str) -> None:
        """Take in that a trial diverged or failed."""
        self._end(self.ledger.records[number], status, reason)

    def keep_traceback(self, number: int, text: str) -> str:
        """Write a trial's traceback beside it; return where to look, to follow its reason, or "" where it cannot be."""
        path = trial_folder(self._folder, number) / TRACEBACK_FILE
        with suppress(OSError):
            write_text(path, text)
            return f" (see {path.relative_to(self._folder)})"
        return ""

    def task(self, record: TrialRecord) -> TrialTask:
        """Return what a worker needs to run (or repeat) a trial."""
        return trial_task(
            record,
            self._config,
            device=self._device,
            precision=self._precision,
            ledger=self.ledger.mark.to_dict(),
        )

    def _spent(self, record: TrialRecord) -> bool:
        cycle = int(record.reports[-1]["cycle"])
        return record.passes + record.passes // cycle > self._config.most_passes

    def _stop(self, record: TrialRecord) -> bool:
        """Stop the trial if the rule or the clock says so; return whether it was stopped."""
        if record.reports and self._rule.should_stop(record.number, self.ledger.curves()):
            self._end(record, Status.STOPPED, f"{self._config.scheduler} at {record.passes} passes")
        elif self.out_of_time:
            self._end(record, Status.STOPPED, f"time budget of {self._config.time_budget_s:g} s")
        return record.status is not Status.RUNNING

    def _end(self, record: TrialRecord, status: Status, reason: str) -> None:
        if record.status is not Status.RUNNING:
            return
        self.ledger.end(record.number, status, reason)
        for watcher in self._watchers:
            watcher.ended(record)
