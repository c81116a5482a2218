"""What calls return: the results folder of a search, a comparison or a training, read on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from distrecvae.api.given import spoken_in_python
from distrecvae.api.shown import in_a_line, means, scores_html, table_html
from distrecvae.errors import ResultsError
from distrecvae.layout import BEST_FOLDER, METRICS_FILE, REPORT_FILE
from distrecvae.metrics import on_validation, on_validation_in

if TYPE_CHECKING:
    from distrecvae.saved.model import LoadedModel
    from distrecvae.search.core.ahead.enough import Further
    from distrecvae.search.core.limits import Limits
    from distrecvae.selection import ExpectedScore

MOST_ROWS = 10
"""Trials that a notebook shows."""


class Best(NamedTuple):
    """The chosen configuration.

    Attributes:
        config: every setting of the model, JSON-able.
        scores: by group of users ("valid", "test"), each metric's mean, NaN over no users; no "test" before the search
            is over.
    """

    config: dict[str, Any]
    scores: dict[str, dict[str, float]]


@dataclass(frozen=True, repr=False)
class SearchResult:
    """What a search found; all of it lies in its folder.

    Attributes:
        folder: the results folder.
        complete: the search is over; one that was interrupted has what it had found by then.
        summary: text for people; if the search is not over, it says how to continue.
        metric: the one that chose the best trial.
    """

    folder: Path
    complete: bool
    summary: str
    metric: str

    @property
    def trials(self) -> pd.DataFrame:
        """A row a trial: outcome, best scores, cost, parameters."""
        return pd.read_parquet(self.folder / "trials.parquet")

    @property
    def history(self) -> pd.DataFrame:
        """A row a report, trials in order."""
        return pd.read_parquet(self.folder / "history.parquet")

    @property
    def best(self) -> Best | None:
        """The best trial's configuration and scores; None while no trial has a model."""
        from distrecvae.search.core.ledger import read_records
        from distrecvae.search.core.records import leading

        key = on_validation(self.metric)
        record = leading(read_records(self.folder, key).values())
        report = None if record is None else record.best_report(key)
        if record is None or report is None:
            return None
        published = self.folder / BEST_FOLDER / METRICS_FILE
        if self.complete and published.exists():
            return Best(dict(record.config), means(published))
        valid = {name: report[on_validation(name)] for name in on_validation_in(report)}
        return Best(dict(record.config), {"valid": valid})

    @property
    def limits(self) -> Limits | None:
        """The limits of the search that its best trial reached; None while no trial has a model.

        They are values at the edge of their ranges, with the direction in which better ones may lie, and whether it
        was still rising at its last pass.
        """
        from distrecvae.search.folder.reached import limits_in

        return limits_in(self.folder, on_validation(self.metric))

    @property
    def widened(self) -> tuple[str, ...]:
        """Which ranges the search widened by itself (`widen=True`), before which trial and why: a sentence each."""
        from distrecvae.search.folder.reached import widened_in

        return widened_in(self.folder)

    @property
    def expected(self) -> ExpectedScore | None:
        """What the chosen model's score by `metric` could be expected to be over users who did not choose it, worked
        out before any test user was looked at; None before the end, and where too few trials told."""
        from distrecvae.search.folder.best_scores import read_best_scores

        scores = read_best_scores(self.folder) if self.complete else None
        return None if scores is None else scores.expected

    def further(self, trials: int | None = None) -> Further | None:
        """Return what further trials can be expected to bring, and how long they take; None while too little is known.

        Without a number: as many trials as there were.
        """
        from distrecvae.search.core.ahead.enough import further
        from distrecvae.search.core.ledger import read_records
        from distrecvae.search.folder.search_json import read_description

        records = read_records(self.folder, on_validation(self.metric)).values()
        at_once = read_description(self.folder).plan.concurrent
        return further(records, trials=len(records) if trials is None else trials, at_once=at_once)

    @property
    def model(self) -> LoadedModel:
        """The chosen model; its `recommend` takes it from there.

        Raises:
            CheckpointError: the search is not over, or no trial has a score.
        """
        return _model_of(self.folder)

    def report(self) -> Path:
        """Write `report.html`, one page with the search's figures, and return its path."""
        from distrecvae.search.report.writing import write_report

        return write_report(self.folder)

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        trials, over = self.trials, "" if self.complete else ", not over"
        best = self.best
        found = "no score yet" if best is None else in_a_line(best.scores, self.metric)
        return f"<SearchResult in {self.folder}{over}: {len(trials)} trials, {found}>"

    def _repr_html_(self) -> str:
        trials, best = self.trials, self.best
        ordered = trials.sort_values("score", ascending=False, kind="stable").head(MOST_ROWS)
        shown = ordered.dropna(axis="columns", how="all").drop(columns=["reason", "score"], errors="ignore")
        state = f"{len(trials)} trials" if self.complete else f"{len(trials)} trials, not over"
        parts = [f"<p><b>Search in {escape(str(self.folder))}</b>: {state}</p>"]
        if best is not None:
            parts.append(scores_html(best.scores))
        parts.append(f"<p>Trials, the best {len(shown)} first:</p>{table_html(shown)}")
        if self.complete:
            parts.append(f"<p>Figures: {escape(str(self.folder / REPORT_FILE))}</p>")
        else:
            parts.append(f"<pre>{escape(self.summary)}</pre>")
        return "\n".join(parts)


@dataclass(frozen=True, repr=False)
class Comparison:
    """What a comparison found; all of it lies in its folder.

    Attributes:
        folder: the results folder.
        complete: every search is over.
        summary: the table and what to do next, for people.
        searches: each model's search that is over, by its name.
        without_score: names of those in which no trial has a score.
    """

    folder: Path
    complete: bool
    summary: str
    searches: Mapping[str, SearchResult]
    without_score: tuple[str, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """A row a model, best first: scores, standard errors, the paired tests, cost, configuration.

        Raises:
            ResultsError: no search is over yet.
        """
        from distrecvae.search.comparison.views import CSV_FILE

        path = self.folder / CSV_FILE
        if not path.exists():
            raise ResultsError(
                f"{self.folder} has no table yet: no search in it is over; continue with resume=True"
            )
        return pd.read_csv(path)

    def report(self) -> Path:
        """Write `report.html`, one page with all its searches, and return its path."""
        from distrecvae.search.report.writing import write_report

        return write_report(self.folder)

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        over = "" if self.complete else ", not over"
        return f"<Comparison in {self.folder}{over}: {', '.join(self.searches) or 'nothing yet'}>"

    def _repr_html_(self) -> str:
        if not self.searches:
            return f"<pre>{escape(self.summary)}</pre>"
        table = self.table
        scored = [name.removeprefix("test_") for name in map(str, table) if name.startswith("test_")]
        scored = [name for name in scored if not name.endswith("_standard_error")]
        metric = next(name for name in scored if f"behind_{name}" in table)
        names = [
            "name",
            f"valid_{metric}",
            *(f"test_{name}" for name in scored),
            f"behind_{metric}",
            "p_value_holm",
        ]
        head = f"<p><b>Comparison in {escape(str(self.folder))}</b>, best first</p>"
        return f"{head}\n{table_html(table[names])}\n<pre>{escape(self.summary)}</pre>"


@dataclass(frozen=True, repr=False)
class TrainResult:
    """What came of a training; all of it lies in its folder.

    Attributes:
        folder: the results folder.
        complete: the training is over; one that was interrupted has its last checkpoint.
        summary: how it ended, for people.
        seeds: of a training with several seeds; empty for one run.
        chosen: the folder of the run whose model is `model`: the only run, the best seed's, or the first fold's.
        folds: how many folds it was trained on; 0 if on none.
    """

    folder: Path
    complete: bool
    summary: str
    seeds: tuple[int, ...]
    chosen: Path
    folds: int = 0

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """By group of users ("valid", "test"), each metric's mean, over seeds or folds where there are several.

        Raises:
            ResultsError: the training is not over.
        """
        if not self.complete:
            raise ResultsError(f"{self.folder} has no scores yet; continue with resume=True")
        many = bool(self.seeds or self.folds)
        return means((self.folder if many else self.folder / BEST_FOLDER) / METRICS_FILE)

    @property
    def history(self) -> pd.DataFrame:
        """A row a report, of the chosen run."""
        return pd.read_csv(self.chosen / "history.csv")

    @property
    def model(self) -> LoadedModel:
        """The model; its `recommend` takes it from there.

        Raises:
            CheckpointError: the training is not over.
        """
        return _model_of(self.chosen)

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        found = in_a_line(self.scores, next(iter(self.scores["test"]))) if self.complete else "not over"
        return f"<TrainResult in {self.folder}: {found}>"

    def _repr_html_(self) -> str:
        head = f"<p><b>Training in {escape(str(self.folder))}</b>: {escape(self.summary)}</p>"
        return head + (f"\n{scores_html(self.scores)}" if self.complete else "")


def _model_of(folder: Path) -> LoadedModel:
    from distrecvae.saved.model import load_model
    from distrecvae.training.device import usable_device

    with spoken_in_python():
        return load_model(folder, usable_device(None))
