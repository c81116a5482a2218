"""Estimates how long a running search still takes, from what its trials took so far and from its pace here."""

from __future__ import annotations

import time
from dataclasses import astuple
from pathlib import Path

from distrecvae.activity import WAITING
from distrecvae.search.core.ahead.enough import Further, further
from distrecvae.search.core.ahead.forecast import Forecast, forecast, forecast_of_solving
from distrecvae.search.core.conductor import Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.rules import StoppingRule
from distrecvae.search.folder.live import Live, write_live
from distrecvae.search.space.space import SearchSpace

ANEW_EVERY_S = 2.0
"""How often it is worked out again, at most."""
MOST_OVERHEAD = 10.0


class Outlook:
    """Hears what trials report, and tells how long the search still takes; a watcher.

    What lies between reports beside training and evaluation (states that are sent, the driver, the next trial's start)
    is counted as it was in this run; the time that first workers take to start is not: it comes once.

    Args:
        ledger: the search's record.
        config: the search's settings.
        rule: what stops trials.
        trial_passes: data passes that a trial gets at most.
        at_once: trials at once.

    Attributes:
        n_trials: how many there will be.
        at_once: how many run at once; none while the search is paused.
        space: what is searched now; None before that is known.
    """

    def __init__(
        self, ledger: Ledger, config: SearchConfig, rule: StoppingRule, *, trial_passes: int, at_once: int
    ) -> None:
        self._ledger, self._config, self._rule = ledger, config, rule
        self._trial_passes = trial_passes
        self.n_trials, self.at_once = config.trials, at_once
        self.space: SearchSpace | None = None
        self._since: dict[int, float] = {}
        self._clock_s = self._work_s = 0.0
        self._one_ended = False
        self._told: Forecast | None = None
        self._told_at: float | None = None
        self._further: Further | None = None
        self._further_at: float | None = None

    def follow(self, conductor: Conductor) -> None:
        """Note how many trials there will be, how many run at once, and in which ranges, as the search is steered."""
        self.n_trials, self.at_once = conductor.steering.trials, conductor.at_once
        self.space = conductor.steering.space

    def started(self, record: TrialRecord) -> None:
        """Where another trial had ended, its worker is there, and what passes until the first report counts."""
        self._since.pop(record.number, None)
        if self._one_ended:
            self._since[record.number] = time.monotonic()

    def reported(self, record: TrialRecord) -> None:
        """Note what the newest report took, by the clock and by its own account."""
        now, report = time.monotonic(), record.reports[-1]
        took = float(report.get("train_s", 0.0)) + float(report.get("evaluate_s", 0.0))
        self._clock_s += max(took, now - self._since.get(record.number, now - took))
        self._work_s += took
        self._since[record.number] = now

    def ended(self, record: TrialRecord) -> None:
        """Its worker is free."""
        self._since.pop(record.number, None)
        self._one_ended = True

    def to_go(self, elapsed_s: float) -> Forecast | None:
        """Return what is to go of a search that has taken so long; None while there is nothing to tell that by."""
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= ANEW_EVERY_S:
            self._told, self._told_at = self._worked_out(), now
        budget = self._config.time_budget_s
        return self._told if self._told is None or budget is None else self._told.within(budget - elapsed_s)

    def further(self) -> Further | None:
        """Return what the trials that have not started can be expected to bring; None without any, or too early."""
        now, records = time.monotonic(), self._ledger.records
        if self._further_at is None or now - self._further_at >= ANEW_EVERY_S:
            to_come, self._further_at = self.n_trials - len(records), now
            at_once = max(1, self.at_once)
            self._further = (
                further(records.values(), trials=to_come, at_once=at_once) if to_come > 0 else None
            )
        return self._further

    def _worked_out(self) -> Forecast | None:
        records = self._ledger.records.values()
        if self.at_once and not self._work_s and self._trial_passes == 1:
            return forecast_of_solving(records, trials=self.n_trials, at_once=self.at_once)
        if not self.at_once or not self._work_s:
            return None
        running = [record for record in records if record.status is Status.RUNNING]
        working = sum(record.doing != WAITING for record in running)
        # Where trials wait for a node there is room for those that do not, and no more.
        at_once = self.at_once if working == len(running) else max(1, min(working, self.at_once))
        return forecast(
            records, self._config, self._rule, trials=self.n_trials, trial_passes=self._trial_passes,
            at_once=at_once, overhead=min(MOST_OVERHEAD, self._clock_s / self._work_s),
        )  # fmt: skip


def show_elsewhere(folder: Path, conductor: Conductor, outlook: Outlook) -> None:
    """Write into the results folder what workers are doing and how long it will take, to be read from elsewhere.

    Raises:
        OSError: the storage refuses it.
    """
    to_go = outlook.to_go(conductor.elapsed_s)
    live = Live(
        elapsed_s=conductor.elapsed_s,
        to_go=None if to_go is None else astuple(to_go),
        paused=conductor.paused,
        doing={str(record.number): record.doing for record in conductor.ledger.unfinished() if record.doing},
        steps={
            str(record.number): (record.share, record.step_to_go_s)
            for record in conductor.ledger.unfinished()
            if record.share and not record.reports
        },
    )
    write_live(folder, live)
