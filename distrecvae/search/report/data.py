"""Owns what a report is made of: one search's folder read back. Nothing is written, so a running search may be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from distrecvae.checks import Scalar
from distrecvae.errors import ResultsError
from distrecvae.layout import BEST_FOLDER, COMPARISON_FILE, METRICS_FILE, SEARCH_FILE
from distrecvae.search.core.ledger import Status
from distrecvae.search.core.study import CONFIG_KEY, read_study_trials
from distrecvae.search.folder.search_json import FINISHED, read_description
from distrecvae.search.folder.tables import read_history, read_rows
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
        description: `search.json`.
        space: what is searched.
        metric: the name of the selection metric, such as `ndcg_100`.
        trials: by number.
        published: `best/metrics.json`, of a search that is over and has a score; else None.
    """

    folder: Path
    description: Mapping[str, Any]
    space: SearchSpace
    metric: str
    trials: tuple[Trial, ...]
    published: Mapping[str, Any] | None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the search, as in SearchConfig."""
        settings: Mapping[str, Any] = self.description["settings"]
        return settings

    @property
    def scored(self) -> list[Trial]:
        """The trials with a score, the best first, the earliest of equals."""
        found = [trial for trial in self.trials if trial.score is not None]
        return sorted(found, key=lambda trial: (-(trial.score or 0.0), trial.number))

    @property
    def best(self) -> Trial | None:
        """The leading trial; None where none has reported a score."""
        leading = self.scored[:1]
        return leading[0] if leading and leading[0].score else None


def read_results(folder: Path) -> SearchResults:
    """Return the search in `folder`: finished, interrupted or running.

    Raises:
        ResultsError: there is no search, it has no trial yet, or a file is damaged.
    """
    if not (folder / SEARCH_FILE).exists() and (folder / COMPARISON_FILE).exists():
        raise ResultsError(
            f"{folder} holds a comparison; give the folder of one of its searches, {folder}/MODEL"
        )
    description = read_description(folder, remedy="give the results folder of a search")
    space = SearchSpace.from_dict(description["space"])
    metric = description["settings"]["metric"]
    try:
        table, history = read_rows(folder), read_history(folder)
    except FileNotFoundError:
        raise ResultsError(f"{folder} has no trial yet; wait until a trial has reported") from None
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{folder}: its tables cannot be read ({error}); --resume writes them again"
        ) from None
    suggested = {trial.number: trial for trial in read_study_trials(folder)}
    rows = [row for row in table if row["trial"] in suggested]
    begun = min((t.datetime_start for t in suggested.values() if t.datetime_start), default=None)
    trials = tuple(
        _trial(row, history.get(row["trial"], []), space, metric, suggested[row["trial"]], begun)
        for row in rows
    )
    if not trials:
        raise ResultsError(f"{folder} has no trial yet; wait until a trial has reported")
    return SearchResults(folder, description, space, metric, trials, _published(folder, description))


def _trial(
    row: Mapping[str, Any],
    reports: Sequence[Mapping[str, Any]],
    space: SearchSpace,
    metric: str,
    suggested: FrozenTrial,
    begun: datetime | None,
) -> Trial:
    return Trial(
        number=int(row["trial"]),
        status=Status(row["status"]),
        score=row["score"],
        scores={name.removeprefix("valid/"): row[name] for name in row if name.startswith("valid/")},
        best_passes=None if row["best_passes"] is None else int(row["best_passes"]),
        passes=int(row["passes"]),
        cycles=int(row["cycles"]),
        duration_s=float(row["duration_s"]),
        values=space.flatten(suggested.user_attrs[CONFIG_KEY]),
        reason=row["reason"] or "",
        curve=tuple(
            Point(int(report["passes"]), float(report[f"valid/{metric}"]), at_s)
            for report, at_s in zip(reports, _clock(reports, suggested, begun), strict=True)
        ),
        suggested=suggested,
    )


def _clock(
    reports: Sequence[Mapping[str, Any]], suggested: FrozenTrial, begun: datetime | None
) -> list[float]:
    """Return when each report was made, in seconds since the search began.

    Reports have durations, not times. Those of an ended trial are reckoned back from its end, which leaves out what it
    took to start its worker; those of a running one on from its start.
    """
    spent: list[float] = []
    for report in reports:
        spent.append((spent[-1] if spent else 0.0) + report["train_s"] + report["evaluate_s"])
    if begun is None or suggested.datetime_start is None:
        return spent
    origin = (suggested.datetime_start - begun).total_seconds()
    if suggested.datetime_complete is not None and spent:
        origin = max(origin, (suggested.datetime_complete - begun).total_seconds() - spent[-1])
    return [origin + seconds for seconds in spent]


def _published(folder: Path, description: Mapping[str, Any]) -> Mapping[str, Any] | None:
    # A search that goes on has the model of its earlier end in best/: its scores are not this search's yet.
    if description["status"] != FINISHED:
        return None
    try:
        metrics = json.loads((folder / BEST_FOLDER / METRICS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return metrics if isinstance(metrics, dict) else None
