"""What a report is made of: one search's folder read back. Nothing is written, so a running search may be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from optuna.trial import FrozenTrial

from distrecvae.checks import Scalar
from distrecvae.errors import ResultsError
from distrecvae.layout import COMPARISON_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation, on_validation_in
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.limits import Limits, limits_of
from distrecvae.search.core.records import BAD, Status, TrialRecord, leading
from distrecvae.search.core.study import as_optuna_has_it
from distrecvae.search.folder.best_scores import BestScores, read_best_scores
from distrecvae.search.folder.search_json import FINISHED, Description, read_description
from distrecvae.search.space.space import SearchSpace


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
    """

    folder: Path
    described: Description
    space: SearchSpace
    trials: tuple[Trial, ...]
    scores: BestScores | None
    limits: Limits | None

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
    if not (folder / SEARCH_FILE).exists() and (folder / COMPARISON_FILE).exists():
        raise ResultsError(
            f"{folder} holds a comparison; give the folder of one of its searches, {folder}/MODEL"
        )
    described = read_description(folder, remedy="give the results folder of a search")
    space, metric = described.searched(), described.settings.metric
    records = read_records(folder, on_validation(metric))
    if not any(record.reports or record.reason for record in records.values()):
        raise ResultsError(f"{folder} has no trial yet; wait until a trial has reported")
    begun = min(record.suggestion.at for record in records.values())
    trials = tuple(_trial(record, space, metric, begun) for record in records.values())
    # A search that goes on has the model of its earlier end in best/: its scores are not this search's yet.
    scores = read_best_scores(folder) if described.status == FINISHED else None
    best = leading(records.values())
    limits = None if best is None else limits_of(best, space)
    return SearchResults(folder, described, space, trials, scores, limits)


def _trial(record: TrialRecord, space: SearchSpace, metric: str, begun: datetime) -> Trial:
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
            Point(int(report["passes"]), float(report[on_validation(metric)]), at_s)
            for report, at_s in zip(record.reports, _clock(record, begun), strict=True)
        ),
        suggested=as_optuna_has_it(record),
    )


def _clock(record: TrialRecord, begun: datetime) -> list[float]:
    """Return when each report was made, in seconds since the search began.

    Reports have durations, not times. Those of an ended trial are reckoned back from its end, which leaves out what it
    took to start its worker; those of a running one on from its start.
    """
    spent: list[float] = []
    for report in record.reports:
        spent.append((spent[-1] if spent else 0.0) + report["train_s"] + report["evaluate_s"])
    origin = (record.suggestion.at - begun).total_seconds()
    if record.ended_at is not None and spent:
        origin = max(origin, (record.ended_at - begun).total_seconds() - spent[-1])
    return [origin + seconds for seconds in spent]
