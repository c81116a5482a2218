"""Lists the searches below a folder: where each stands, what it found, how old it is, how much room it takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from distrecvae.errors import ResultsError
from distrecvae.files import held, size_bytes
from distrecvae.layout import LEDGER_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation, title_of
from distrecvae.search.core.ledger import read_records
from distrecvae.search.core.records import Status, leading
from distrecvae.search.folder.search_json import RUNNING, Description, read_description
from distrecvae.words import duration, mib

DAMAGED, ENDED_BADLY = "damaged", "killed"
HEAD = ("folder", "model", "data", "status", "trials", "best", "age", "size")


@dataclass(frozen=True)
class Listed:
    """A search's folder, at a glance.

    Attributes:
        folder: where it lies.
        status: running, interrupted, finished; `killed` where it says that it runs and nobody holds the folder on a
            machine that this one shares locks with; `damaged`.
        model: registry name; empty for a damaged one.
        data: where its data set lies.
        ended: trials that ended.
        trials: that it was asked for.
        metric: by which trials are chosen.
        best: the best validation score; None while there is none.
        began: when, UTC; None where that cannot be read.
        heard: when its ledger was written the last time, UTC; None without one.
        size_bytes: of all its files.
        trouble: what is damaged, in a line; empty otherwise.
    """

    folder: Path
    status: str
    model: str = ""
    data: str = ""
    ended: int = 0
    trials: int = 0
    metric: str = ""
    best: float | None = None
    began: datetime | None = None
    heard: datetime | None = None
    size_bytes: int = 0
    trouble: str = ""


def searches_below(folder: Path) -> list[Listed]:
    """Return the searches in and below `folder`, the most recently active first; nothing is written.

    Raises:
        ResultsError: there is no such folder.
    """
    if not folder.is_dir():
        raise ResultsError(f"{folder} is not a folder; give one with searches in it, such as runs")
    found = [_listed(each) for each in _searches(folder)]
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda each: (each.heard or each.began or never, str(each.folder)), reverse=True)


def standing_of(folder: Path, described: Description) -> str:
    """Return where the search in `folder` stands, as `Listed.status` says it."""
    return ENDED_BADLY if described.status == RUNNING and not held(folder) else described.status


def rows(found: list[Listed], *, now: datetime) -> list[tuple[str, ...]]:
    """Return a row of text a search, under `HEAD`."""
    return [
        (
            str(each.folder),
            each.model or "-",
            Path(each.data).name or "-",
            each.status,
            f"{each.ended}/{each.trials}" if each.model else "-",
            "-" if each.best is None else f"{title_of(each.metric)} {each.best:.4f}",
            "-" if each.began is None else duration(max(0.0, (now - each.began).total_seconds())),
            mib(each.size_bytes),
        )
        for each in found
    ]


def _searches(folder: Path) -> Iterator[Path]:
    """Yield the folders that hold a search; there is none within another one."""
    for place, folders, files in os.walk(folder):
        if SEARCH_FILE in files:
            folders.clear()
            yield Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def _listed(folder: Path) -> Listed:
    size = size_bytes(folder)
    try:
        described = read_description(folder)
        settings, ledger = described.settings, folder / LEDGER_FILE
        records = read_records(folder, on_validation(settings.metric)) if ledger.exists() else {}
    except ResultsError as error:
        return Listed(folder, DAMAGED, size_bytes=size, trouble=str(error))
    best = leading(records.values())
    return Listed(
        folder=folder,
        status=standing_of(folder, described),
        model=settings.model,
        data=described.data,
        ended=sum(record.status is not Status.RUNNING for record in records.values()),
        trials=settings.trials,
        metric=settings.metric,
        best=None if best is None else best.score,
        began=datetime.fromisoformat(described.started),
        heard=datetime.fromtimestamp(ledger.stat().st_mtime, UTC) if records else None,
        size_bytes=size,
    )
