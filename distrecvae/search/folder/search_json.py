"""Reads and writes `search.json`, the description of a search in its results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distrecvae.errors import ResultsError
from distrecvae.files import write_json
from distrecvae.layout import SEARCH_FILE

FORMAT = 2
"""Of `search.json`."""
RUNNING, INTERRUPTED, FINISHED = "running", "interrupted", "finished"
"""`status` of a search: the last one is said of a search that is over and has a model."""
_REQUIRED = ("status", "elapsed_s", "settings", "data", "space", "dataset", "plan", "ledger")


def read_description(folder: Path, *, remedy: str = "leave out --resume to start one") -> dict[str, Any]:
    """Return `search.json` of a results folder; `remedy` is what to do where there is none.

    Raises:
        ResultsError: there is none, it cannot be read, or another version wrote it.
    """
    path = folder / SEARCH_FILE
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(f"{folder} holds no search ({SEARCH_FILE} is missing); {remedy}") from error
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


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Write `search.json` by renaming."""
    write_json(folder / SEARCH_FILE, {"format": FORMAT, **description})
