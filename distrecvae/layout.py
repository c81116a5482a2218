"""Names the files and folders of results folders that more than one room knows."""

from __future__ import annotations

from pathlib import Path

RUN_FILE, SEARCH_FILE, COMPARISON_FILE, BLEND_FILE = "run.json", "search.json", "compare.json", "blend.json"
"""What makes a folder that of a training run, of a search, of a comparison, of a blend."""

BLEND_FOLDER = "blend"
"""Where a search's or a comparison's folder has the blend that was made of it."""

BEST_FOLDER = "best"
"""Where a results folder, of a training run or of a search, has its model."""

CONFIG_FILE, METRICS_FILE = "config.json", "metrics.json"
"""In a model's folder: its settings and its scores. All seeds' scores together lie in one like the latter."""

LEDGER_FILE, JOURNAL_FILE = "ledger.jsonl", "study.journal"
"""In a search's folder: all that it is resumed from; a view of it for Optuna's tools, which may be deleted."""

STATE_FILE = "state.safetensors"
"""What a run, or a trial, is resumed from."""

TRACEBACK_FILE = "error.txt"
"""In a trial's folder: what it failed by."""

DATA_FOLDER = "data"
"""Where a results folder has a data set that lies nowhere else: the demo's, or one that Python had in memory."""

REQUESTS_FOLDER = "requests"
"""Where a running search is asked for something, and answers."""

LIVE_FILE = "live.json"
"""What workers are at and what is to go, while a search runs."""

REPORT_FILE, SUMMARY_FILE = "report.html", "summary.txt"


def trial_folder(results: Path, number: int) -> Path:
    """Return where the trial of that number lies in a search's folder."""
    return results / "trials" / f"{number:05d}"
