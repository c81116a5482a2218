"""Checks a search's ledger against what other files of its folder say of it: how long it was when they were written.

A chain vouches for all of its lines but not for those that are missing at its end. `search.json`, the chosen model's
`metrics.json` and the trials' state files are written after the ledger, and each says how long it was then. A state
file also has its trial's reports, of which the ledger had all but the last one when the file was written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from distrecvae.errors import CheckpointError, ResultsError
from distrecvae.layout import BEST_FOLDER, LEDGER_FILE, METRICS_FILE, SEARCH_FILE, STATE_FILE, trial_folder
from distrecvae.saved.tensors import read_metadata
from distrecvae.search.core.chain import REMEDY, Content, Mark, read_chain, require_reaches
from distrecvae.search.folder.search_json import Description
from distrecvae.words import counted

LEDGER_KEY = "ledger"
"""Where a file has its mark."""


def require_whole_ledger(folder: Path, described: Description) -> None:
    """Refuse a ledger that is damaged or edited, or shorter than some file of the folder says; nothing is written.

    A search that was killed before its ledger was started has none, and its `search.json` says so.

    Args:
        folder: the results folder.
        described: what `search.json` says.

    Raises:
        ResultsError: as it says.
    """
    path = folder / LEDGER_FILE
    marks = dict(_marks(folder, described))
    if not path.exists() and not any(mark.lines for mark in marks.values()):
        return
    content = read_chain(path)
    for said_by, mark in marks.items():
        require_reaches(content, mark, path, said_by)
    _require_reports(content, folder)


def _marks(folder: Path, described: Description) -> Iterator[tuple[Path, Mark]]:
    yield folder / SEARCH_FILE, described.ledger
    published = folder / BEST_FOLDER / METRICS_FILE
    if published.exists():
        try:
            yield published, Mark.from_dict(json.loads(published.read_text(encoding="utf-8"))[LEDGER_KEY])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise ResultsError(
                f"{published} is damaged, or not of the search in {folder}; restore it, or remove {published.parent}:"
                " the end of the search rewrites it"
            ) from None
    for state in sorted((folder / "trials").glob(f"*/{STATE_FILE}")):
        try:
            yield state, Mark.from_dict(read_metadata(state).get(LEDGER_KEY))
        except (CheckpointError, ValueError):
            continue  # its trial begins again, and repeats itself


def _require_reports(content: Content, folder: Path) -> None:
    """Refuse a ledger that has not the reports that a trial made before its state was written."""
    configs = {line["trial"]: line["config"] for line in content.records if line["kind"] == "asked"}
    reported = Counter(line["trial"] for line in content.records if line["kind"] == "report")
    for number, config in configs.items():
        state = trial_folder(folder, number) / STATE_FILE
        try:
            metadata = read_metadata(state)
            made, of = len(metadata["history"]), metadata["identity"]["config"]
        except (CheckpointError, KeyError, TypeError):
            continue
        if of == config and made > reported[number] + 1:
            there = counted(reported[number], "report", "reports")
            raise ResultsError(
                f"{folder / LEDGER_FILE} has {there} of trial {number}, and its state in {state} has {made}:"
                f" lines at its end are missing; {REMEDY}"
            )
