"""Owns the results folder: its description, its tables (views of the ledger), and which models it keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from distrecvae.errors import ResultsError
from distrecvae.files import remove_leftovers, replacing, write_json
from distrecvae.metrics import METRICS
from distrecvae.runs.trial import STATE_FILE
from distrecvae.search.core.ledger import Ledger, Status, TrialRecord
from distrecvae.search.space.space import SearchSpace

FORMAT = 1
DESCRIPTION_FILE = "search.json"
RUNNING, INTERRUPTED, FINISHED = "running", "interrupted", "finished"
"""`status` of a search: the last one is said of a search that is over and has a model."""
_REQUIRED = ("status", "elapsed_s", "settings", "data", "space", "dataset", "plan")
TABLES_EVERY_S = 10.0
TABLES_SHARE = 0.01
"""Writing the tables may cost this share of the time: they are written whole, and long searches write long ones."""


def read_description(folder: Path, *, remedy: str = "leave out --resume to start one") -> dict[str, Any]:
    """Return `search.json` of a results folder; `remedy` is what to do where there is none.

    Raises:
        ResultsError: there is none, it cannot be read, or another version wrote it.
    """
    path = folder / DESCRIPTION_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(f"{folder} holds no search ({DESCRIPTION_FILE} is missing); {remedy}") from error
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"{path} cannot be read ({error}); restore it, or start anew in another folder"
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else None
        raise ResultsError(
            f"{path} has format {found!r}, this version reads {FORMAT}; use the version that wrote it"
        )
    if missing := [name for name in _REQUIRED if name not in description]:
        raise ResultsError(f"{path} lacks {', '.join(missing)}; restore it, or start anew in another folder")
    return description


def trials_table(ledger: Ledger, space: SearchSpace, metric: str) -> pd.DataFrame:
    """Return a row a trial: outcome, best scores, cost, parameters."""
    rows = []
    for record in ledger.records.values():
        best = record.best_report(metric) or {}
        rows.append(
            {
                "trial": record.number,
                "status": str(record.status),
                "score": record.score,
                **{f"valid/{name}": best.get(f"valid/{name}") for name in METRICS},
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


class Keeper:
    """Removes the state files of ended trials, but for the best one's and the first one's; a watcher."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder, self._ledger = folder, ledger
        self._held = set(ledger.records)

    def started(self, record: TrialRecord) -> None:
        """A trial under way may have a state file."""
        self._held.add(record.number)

    def reported(self, record: TrialRecord) -> None:
        """Nothing to remove."""

    def ended(self, record: TrialRecord) -> None:  # noqa: ARG002
        """Remove what this trial's end has made superfluous."""
        self.clean()

    def clean(self) -> None:
        """Remove every state file that is not needed any more, and what writers that were killed left beside it."""
        best = self._ledger.best()
        for number in sorted(self._held):
            if self._ledger.records[number].status is Status.RUNNING:
                continue
            folder = self._folder / "trials" / f"{number:05d}"
            remove_leftovers(folder)
            if number != 0 and (best is None or number != best.number):
                (folder / STATE_FILE).unlink(missing_ok=True)
                self._held.discard(number)


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `search.json` by renaming."""
    write_json(folder / DESCRIPTION_FILE, {"format": FORMAT, **description})
