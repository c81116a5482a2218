"""Writes the tables of a search, views of its ledger, and reads them back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd

from distrecvae.files import replacing
from distrecvae.metrics import METRICS, on_validation, on_validation_in
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import TrialRecord
from distrecvae.search.space.space import SearchSpace

TABLES_EVERY_S = 10.0
TABLES_SHARE = 0.01
"""Writing the tables may cost this share of the time: they are written whole, and long searches write long ones."""


def trials_table(ledger: Ledger, space: SearchSpace, metric: str) -> pd.DataFrame:
    """Return a row a trial: outcome, best scores, cost, parameters."""
    rows = []
    reported = (record.reports[0] for record in ledger.records.values() if record.reports)
    names = next(map(on_validation_in, reported), METRICS)
    for record in ledger.records.values():
        best = record.best_report(metric) or {}
        rows.append(
            {
                "trial": record.number,
                "status": str(record.status),
                "score": record.score,
                **{on_validation(name): best.get(on_validation(name)) for name in names},
                "best_passes": best.get("passes"),
                "passes": record.passes,
                "cycles": record.reports[-1]["cycle"] if record.reports else 0,
                "duration_s": round(record.duration_s, 3),
                **space.flatten(record.config),
                "reason": record.reason,
            }
        )
    return pd.DataFrame(rows)


def read_trials(folder: Path) -> pd.DataFrame:
    """Return the table of a search's trials, as `trials_table` made it."""
    return pd.read_parquet(folder / "trials.parquet")


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """Return `read_trials` as plain rows; a cell without a value is None."""
    return _rows(read_trials(folder))


def read_history(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Return each trial's reports in order; a trial without one is missing."""
    reports: dict[int, list[dict[str, Any]]] = {}
    for row in _rows(pd.read_parquet(folder / "history.parquet")):
        reports.setdefault(int(row.pop("trial")), []).append(row)
    return reports


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    empty = table.isna().to_numpy()
    return [
        {
            str(name): None if empty[place, column] else value
            for column, (name, value) in enumerate(row.items())
        }
        for place, row in enumerate(table.to_dict("records"))
    ]


def history_table(ledger: Ledger) -> pd.DataFrame:
    """Return a row a report, trials in order."""
    rows = [
        {"trial": r.number, **report, "best": best}
        for r in ledger.records.values()
        for report, best in zip(r.reports, r.best, strict=True)
    ]
    return pd.DataFrame(rows)


class Tables:
    """Keeps `trials.csv`, `trials.parquet` and `history.parquet` up to date; a watcher."""

    def __init__(self, folder: Path, ledger: Ledger, space: SearchSpace, metric: str) -> None:
        self._folder, self._ledger, self._space, self._metric = folder, ledger, space, metric
        self._written_at, self._stale, self._every_s = 0.0, True, TABLES_EVERY_S

    def started(self, record: TrialRecord) -> None:  # noqa: ARG002
        """A new trial is a row."""
        self._stale = True

    def reported(self, record: TrialRecord) -> None:  # noqa: ARG002
        """A report is a row of the history."""
        self._stale = True

    def ended(self, record: TrialRecord) -> None:  # noqa: ARG002
        """An outcome fills the trial's row."""
        self._stale = True

    @property
    def due(self) -> bool:
        """Whether something is new and the last writing a while ago.

        The ledger is on disk already; tables of a thousand trials need not follow every report.
        """
        return self._stale and time.monotonic() - self._written_at >= self._every_s

    def write(self) -> None:
        """Write all three files, each by renaming."""
        started = time.monotonic()
        trials = trials_table(self._ledger, self._space, self._metric)
        with replacing(self._folder / "trials.csv") as path:
            trials.to_csv(path, index=False)
        with replacing(self._folder / "trials.parquet") as path:
            trials.to_parquet(path, index=False)
        with replacing(self._folder / "history.parquet") as path:
            history_table(self._ledger).to_parquet(path, index=False)
        self._written_at, self._stale = time.monotonic(), False
        self._every_s = max(TABLES_EVERY_S, (self._written_at - started) / TABLES_SHARE)
