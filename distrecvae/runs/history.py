"""A run's `history.csv`: a row a report."""

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
        # Phases have losses of their own.
        names = dict.fromkeys(name for report in history for name in report)
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(folder / HISTORY_FILE, text.getvalue())
