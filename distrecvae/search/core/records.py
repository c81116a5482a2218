"""Says what is known of a trial: its configuration, everything it reported, and how it ended."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


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


KEPT_TRIALS = 3
"""Best trials of a search whose states stay, unless told otherwise: one is published, all are candidates of a blend."""
REVIVABLE = 50
"""Best trials, by score, among which a stopped one may continue by the search's own decision: their states stay until
it is over. One that falls behind them does not come back, but where one before it fails."""
RISING = 0.005
"""The share of a score that comes in the last fifth of the reports of a trial that has not levelled off. In RecVAE's
published configuration on MovieLens-1M it is 1 % after 160 passes and 0.3 % after 200 (benchmarks/results,
2026-11-25-time-to-quality)."""

BAD = (Status.DIVERGED, Status.FAILED)
"""How trials end that went wrong: none of their models is ever chosen."""


@dataclass(frozen=True)
class Suggestion:
    """How a trial came to its configuration, as Optuna has it.

    Attributes:
        params: values by Optuna's names.
        distributions: what they were drawn from, in Optuna's JSON.
        attrs: what the sampler remembers of it, JSON-able.
        at: when it was asked for, UTC.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class TrialRecord:
    """One trial.

    Attributes:
        number: 0-based, in the order of suggestion.
        config: the model's configuration, JSON-able.
        status: where it stands.
        reports: flat metrics by report, passes increasing.
        best: for each report the best value of the selection metric so far.
        reason: why it ended, for people.
        ended_at: when it ended, UTC; None while it has not.
        doing: what its worker is at, or what it waits for, in a word; shown and not written down.
        share: of its step that is done, where its model tells; what has been reported is not part of it.
        step_to_go_s: seconds until that step is done, by its worker's pace; None where that is not known.
        suggestion: how it was proposed.
        max_passes: its own budget, where it continues by hand after its end: no rule stops it then. None: the search's.
    """

    number: int
    config: dict[str, Any]
    status: Status = Status.RUNNING
    reports: list[dict[str, Any]] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    reason: str = ""
    ended_at: datetime | None = None
    share: float = 0.0
    step_to_go_s: float | None = None
    doing: str = ""
    suggestion: Suggestion = field(default_factory=Suggestion)
    max_passes: int | None = None

    @property
    def score(self) -> float | None:
        """Best value of the selection metric; 0 for a diverged trial; None before the first report or if it failed."""
        if self.status is Status.DIVERGED:
            return 0.0
        if self.status is Status.FAILED or not self.best:
            return None
        return self.best[-1]

    @property
    def has_model(self) -> bool:
        """Whether it has a model that can be chosen: it reported a score, and neither diverged nor failed."""
        return bool(self.reports) and self.status not in BAD

    @property
    def passes(self) -> int:
        """Data passes reported."""
        return int(self.reports[-1]["passes"]) if self.reports else 0

    @property
    def passes_with_another(self) -> int:
        """Data passes after one more cycle; it has reported."""
        return self.passes + self.passes // int(self.reports[-1]["cycle"])

    @property
    def duration_s(self) -> float:
        """Seconds of training and evaluation reported."""
        return float(sum(r.get("train_s", 0.0) + r.get("evaluate_s", 0.0) for r in self.reports))

    @property
    def late_gain(self) -> float:
        """The share of its score that came in the last fifth of its reports; 0 where there are fewer than two."""
        if len(self.best) < 2 or not self.score:
            return 0.0
        before = self.best[-1 - max(1, len(self.best) // 5)]
        return (self.best[-1] - before) / abs(self.score)

    @property
    def still_rising(self) -> bool:
        """Whether it had not levelled off at its last report."""
        return self.late_gain >= RISING

    def best_report(self, metric: str) -> dict[str, Any] | None:
        """Return the first report with the best value of `metric`, or None before the first report."""
        return max(self.reports, key=lambda r: float(r[metric]), default=None)

    def reopen(self, max_passes: int | None) -> None:
        """Let a trial that ended continue, to so many passes at most; None: as the search has it, its rule included."""
        self.status, self.reason, self.ended_at, self.max_passes = Status.RUNNING, "", None, max_passes

    def take(self, report: dict[str, Any], metric: str) -> None:
        """Add a further report."""
        value = float(report[metric])
        self.best.append(max(value, self.best[-1]) if self.best else value)
        self.reports.append(report)


def leading(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the trial with the best score, the earliest of equals; None while none has a model."""
    return next(iter(by_score(records)), None)


def by_score(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that have a model, the best score first, the earliest of equals."""
    able = [record for record in records if record.has_model]
    return sorted(able, key=lambda record: (-(record.score or 0.0), record.number))


def no_score(statuses: Collection[Status], *, over: bool = True) -> str:
    """Return what is said where no trial has a model, in a line: why not, if all of them went wrong.

    Args:
        statuses: where the trials stand.
        over: no other trial is to come.
    """
    if statuses and all(status in BAD for status in statuses):
        ends = " or ".join(str(status) for status in BAD if status in statuses)
        return f"Every trial {ends}{': there is no model to publish' if over else ' so far'}."
    return "No trial has a score." if over else "No trial has a score yet."


def cut_short(start: str, passes: int, most: int) -> str:
    """Return what is to be known of a gain over a first trial that was stopped early."""
    return f" The {start} configuration was stopped after {passes} of {most} passes: trained whole it may do better."
