"""Says how a search stands, in a line and in a table a screen holds: the same while it runs and from its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distrecvae.metrics import on_validation
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.records import Status, TrialRecord, leading

MOST_ROWS = 12
"""Running trials that a screen shows."""


def status_line(records: Collection[TrialRecord], config: SearchConfig) -> str:
    """Return how many trials ended, in which ways, and which one is best, separated by commas."""
    counts = Counter(record.status for record in records)
    ended = sum(counts.values()) - counts[Status.RUNNING]
    parts = [f"{ended} of {config.trials} trials ended"]
    parts += [f"{counts[status]} {status}" for status in Status if counts[status]]
    best = leading(records)
    if best is not None and best.score is not None:
        parts.append(f"best {config.metric} {best.score:.4f} (trial {best.number})")
    return ", ".join(parts)


def running_table(records: Iterable[TrialRecord], config: SearchConfig) -> RenderableType:
    """Return a row a running trial, `MOST_ROWS` at most."""
    running = [record for record in records if record.status is Status.RUNNING]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("trial", "passes", config.metric, "best", "seconds"):
        table.add_column(title, justify="right")
    for record in running[:MOST_ROWS]:
        last = f"{record.reports[-1][on_validation(config.metric)]:.4f}" if record.reports else "-"
        best = f"{record.best[-1]:.4f}" if record.best else "-"
        passes = solved_share(record) or f"{record.passes}/{config.most_passes}"
        table.add_row(str(record.number), passes, last, best, f"{record.duration_s:.0f}")
    more = [Text(f"and {len(running) - MOST_ROWS} more", style="dim")] if len(running) > MOST_ROWS else []
    return Group(table, *more)


def solved_share(record: TrialRecord) -> str:
    """Return how far a trial's first step is, where its model tells; empty else."""
    return f"{record.share:.0%} solved" if record.share and not record.reports else ""
