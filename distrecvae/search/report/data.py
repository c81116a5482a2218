"""What a report is made of: one search's folder read back. Nothing is written, so a running search may be read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from distrecvae.checks import Scalar
from distrecvae.errors import ResultsError
from distrecvae.files import held
from distrecvae.layout import LEDGER_FILE
from distrecvae.metrics import on_validation, on_validation_in
from distrecvae.search.core.ahead.enough import Further, further
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import answers_in, records_of
from distrecvae.search.core.limits import Limits, limits_of
from distrecvae.search.core.records import BAD, Status, TrialRecord, leading
from distrecvae.search.core.requests import Request
from distrecvae.search.core.steering import steered_space
from distrecvae.search.core.study import as_optuna_has_it
from distrecvae.search.core.unasked import said_widened
from distrecvae.search.folder.best_scores import BestScores, read_best_scores
from distrecvae.search.folder.search_json import FINISHED, RUNNING, Description, read_description
from distrecvae.search.living.explanation import ADDED, Why
from distrecvae.search.living.why import explained
from distrecvae.search.report.clock import clock, stints_of
from distrecvae.search.space.space import SearchSpace

MOST_EXPLAINED = 150
"""Trials that the page explains: a second of work for every hundred."""
GIVEN_UP_S = 600.0
"""A search that no process of this machine holds, and that was silent for so long, is not looked at again."""


@dataclass(frozen=True)
class Point:
    """A report of a trial.

    Attributes:
        passes: data passes that the trial had had.
        value: the selection metric on validation users.
        at_s: seconds since the search began, by the clock.
    """

    passes: int
    value: float
    at_s: float


@dataclass(frozen=True)
class Trial:
    """A trial as the report shows it.

    Attributes:
        number: 0-based, in the order of suggestion.
        status: where it stands.
        score: its best value of the selection metric; None without one.
        scores: all validation metrics at its best report, by name.
        best_passes: the passes of that report.
        passes: data passes spent.
        cycles: cycles done.
        duration_s: seconds of training and evaluation.
        values: the searched values by column, None in branches not chosen.
        reason: why it ended.
        curve: its reports.
        suggested: what Optuna knows of it.
        by_hand: what people had to do with it, in words; empty for nothing.
    """

    number: int
    status: Status
    score: float | None
    scores: Mapping[str, float | None]
    best_passes: int | None
    passes: int
    cycles: int
    duration_s: float
    values: Mapping[str, Scalar]
    reason: str
    curve: tuple[Point, ...]
    suggested: FrozenTrial
    by_hand: str = ""

    @property
    def outcome(self) -> str:
        """Where it stands, and what people had to do with it."""
        return f"{self.status} ({self.by_hand})" if self.by_hand else str(self.status)


@dataclass(frozen=True)
class Asked:
    """What somebody asked of the search, or it of itself.

    Attributes:
        at_s: when, in seconds since the search began.
        what: as it is typed.
        answer: what was done, or why not.
        done: whether it was.
        by_itself: whether nobody asked.
    """

    at_s: float
    what: str
    answer: str
    done: bool
    by_itself: bool = False


@dataclass(frozen=True)
class SearchResults:
    """A search's folder, read back.

    Attributes:
        folder: where it lies.
        described: `search.json`.
        space: what is searched.
        trials: by number.
        scores: of the chosen model, of a search that is over and has one; else None.
        limits: of the search, that its best trial met; None while no trial has a model.
        further: what as many trials again can be expected to bring; None while too little is known.
        widened: which ranges the search widened by itself, and why: a sentence each.
        why: by number why trials are what they are, of the best `MOST_EXPLAINED`.
        asked: what was asked of it, in order.
        runs: whether it is worth looking again.
        read_at: when the folder was read, UTC.
    """

    folder: Path
    described: Description
    space: SearchSpace
    trials: tuple[Trial, ...]
    scores: BestScores | None
    limits: Limits | None
    further: Further | None = None
    widened: tuple[str, ...] = ()
    why: Mapping[int, Why] = field(default_factory=dict)
    asked: tuple[Asked, ...] = ()
    runs: bool = False
    read_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def seconds(self) -> float:
        """When the last report was made, in seconds since the search began."""
        return max((point.at_s for trial in self.trials for point in trial.curve), default=0.0)

    @property
    def settings(self) -> SearchConfig:
        """The settings of the search."""
        return self.described.settings

    @property
    def metric(self) -> str:
        """The name of the selection metric, such as `ndcg_100`."""
        return self.settings.metric

    @property
    def scored(self) -> list[Trial]:
        """The trials with a score, the best first, the earliest of equals."""
        found = [trial for trial in self.trials if trial.score is not None]
        return sorted(found, key=lambda trial: (-(trial.score or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        """The leading trial; None while none has a model."""
        return next((trial for trial in self.scored if trial.status not in BAD), None)


def read_results(folder: Path) -> SearchResults:
    """Return the search in `folder`: finished, interrupted or running.

    Raises:
        ResultsError: there is no search, it has no trial yet, or a file is damaged.
    """
    described = read_description(folder, remedy="give the results folder of a search")
    space, metric = described.searched(), described.settings.metric
    path = folder / LEDGER_FILE
    # Read once: a search that runs writes on.
    lines = read_chain(path).records
    records = records_of(lines, on_validation(metric), path)
    if not any(record.reports or record.reason for record in records.values()):
        raise ResultsError(f"{folder} has no trial yet; wait until a trial has reported")
    begun, stints = min(record.suggestion.at for record in records.values()), stints_of(lines)
    order = sorted(records.values(), key=lambda each: (-(each.score or 0.0), each.number))
    found = explained(
        folder, described, lines, {each.number for each in order[:MOST_EXPLAINED]}, ask_again=False
    )
    trials = tuple(
        _trial(record, space, metric, clock(record, begun, stints[number]), _by_hand(record, found))
        for number, record in records.items()
    )
    # A search that is resumed has the model of its earlier end in best/: its scores are not this search's yet.
    scores = read_best_scores(folder) if described.status == FINISHED else None
    best = leading(records.values())
    limits = None if best is None else limits_of(best, steered_space(lines, described.settings, space))
    return SearchResults(
        folder,
        described,
        space,
        trials,
        scores,
        limits,
        further(records.values(), trials=len(records), at_once=described.plan.concurrent),
        widened=tuple(said_widened(answers_in(lines))),
        why=found,
        asked=tuple(_asked(line, begun) for line in lines if line["kind"] == "steered"),
        runs=described.status == RUNNING and (held(folder) or _silent_s(path) < GIVEN_UP_S),
    )


def _silent_s(ledger: Path) -> float:
    try:
        return time.time() - ledger.stat().st_mtime
    except OSError:
        return 0.0  # it is being replaced


def _by_hand(record: TrialRecord, found: Mapping[int, Why]) -> str:
    """Return what people had to do with a trial; that it was added is known of those that are explained."""
    added = record.number in found and found[record.number].origin.kind == ADDED
    continued = "" if record.max_passes is None else f"continued to {record.max_passes} passes"
    return ", ".join(filter(None, ["added" if added else "", continued]))


def _asked(line: Mapping[str, Any], begun: datetime) -> Asked:
    at_s = (datetime.fromisoformat(line["at"]) - begun).total_seconds()
    what, by_itself = Request.from_dict(line["what"]).text(), "by" in line["facts"]
    return Asked(max(0.0, at_s), what, line["answer"], line["done"], by_itself)


def _trial(
    record: TrialRecord, space: SearchSpace, metric: str, at_s: Sequence[float], by_hand: str
) -> Trial:
    best = record.best_report(on_validation(metric)) or {}
    return Trial(
        number=record.number,
        status=record.status,
        score=record.score,
        scores={name: best[on_validation(name)] for name in on_validation_in(best)},
        best_passes=best.get("passes"),
        passes=record.passes,
        cycles=int(record.reports[-1]["cycle"]) if record.reports else 0,
        duration_s=record.duration_s,
        values=space.flatten(record.config),
        reason=record.reason,
        curve=tuple(
            Point(int(report["passes"]), float(report[on_validation(metric)]), seconds)
            for report, seconds in zip(record.reports, at_s, strict=True)
        ),
        suggested=as_optuna_has_it(record),
        by_hand=by_hand,
    )
