"""What tests look at in a search's results folder, while it runs and when two searches are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distrecvae.layout import LEDGER_FILE


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """Return the ledger's lines, in order; one that is just being written does not count."""
    path = folder / LEDGER_FILE
    return list(map(json.loads, path.read_bytes().split(b"\n")[:-1] if path.exists() else []))


def reports_of(folder: Path) -> list[dict[str, Any]]:
    """Return the reports that are written down, in order."""
    return [line for line in lines_of(folder) if line["kind"] == "report"]


def n_reports(folder: Path) -> int:
    """Return how many reports are written down."""
    return len(reports_of(folder))


def scores(folder: Path) -> dict[str, Any]:
    """Return `best/metrics.json` but for the ledger's mark: the ledger has times in it, so two are never the same."""
    found: dict[str, Any] = json.loads((folder / "best" / "metrics.json").read_text(encoding="utf-8"))
    assert found.pop("ledger")["lines"] > 0
    return found
