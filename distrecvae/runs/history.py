"""Owns `history.csv`: the reports of a run, a row each, for people and for tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distrecvae.files import write_text

HISTORY_FILE = "history.csv"


def write_history(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the reports as `history.csv`, a row a report; nothing before the first one."""
    if history:
        text = io.StringIO(newline="")
        names = dict.fromkeys(
            name for report in history for name in report
        )  # phases have losses of their own
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(folder / HISTORY_FILE, text.getvalue())
