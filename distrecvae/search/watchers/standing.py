"""Says how a search stands, in a line and in a table a screen holds: the same while it runs and from its folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from distrecvae.activity import GRAM
from distrecvae.metrics import on_validation, title_of
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.limits import limits_of
from distrecvae.search.core.records import Status, TrialRecord, leading
from distrecvae.search.space.space import SearchSpace
from distrecvae.words import to_go_in_brackets

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
        parts.append(f"best {title_of(config.metric)} {best.score:.4f} (trial {best.number})")
    return ", ".join(parts)


def doing_line(records: Iterable[TrialRecord]) -> str:
    """Return in words what the workers of running trials are doing: 3 training, 1 saving; empty if unknown."""
    counts = Counter(record.doing for record in records if record.status is Status.RUNNING and record.doing)
    return ", ".join(f"{count} {doing}" for doing, count in counts.most_common())


def leaning(records: Iterable[TrialRecord], space: SearchSpace) -> list[str]:
    """Return what the best trial so far leans on, a line each: edges of ranges, a curve that still rises.

    It is what today's methods know of the worth of further search.
    """
    best = leading(records)
    if best is None:
        return []
    limits = limits_of(best, space)
    said = [f"trial {best.number} leads, and {edge.text()}" for edge in limits.edges]
    if limits.rising and best.status is Status.FINISHED:
        said.append(f"trial {best.number} leads, and was still rising at its last pass ({limits.passes})")
    return said


def running_table(records: Iterable[TrialRecord], config: SearchConfig) -> RenderableType:
    """Return a row a running trial, `MOST_ROWS` at most."""
    running = [record for record in records if record.status is Status.RUNNING]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("trial", "passes", title_of(config.metric), "best", "seconds"):
        table.add_column(title, justify="right")
    told = any(record.doing for record in running)
    if told:
        table.add_column("doing")
    for record in running[:MOST_ROWS]:
        last = f"{record.reports[-1][on_validation(config.metric)]:.4f}" if record.reports else "-"
        best = f"{record.best[-1]:.4f}" if record.best else "-"
        passes = solved_share(record) or f"{record.passes}/{config.most_passes}"
        cells = [str(record.number), passes, last, best, f"{record.duration_s:.0f}"]
        table.add_row(*cells, *([record.doing] if told else []))
    more = [Text(f"and {len(running) - MOST_ROWS} more", style="dim")] if len(running) > MOST_ROWS else []
    return Group(table, *more)


def solved_share(record: TrialRecord) -> str:
    """Return how far a trial's first step is and what is to go of it, where its model tells; empty else."""
    if not record.share or record.reports:
        return ""
    of = "of the Gram matrix" if record.doing == GRAM else "solved"
    return f"{record.share:.0%} {of}{to_go_in_brackets(record.step_to_go_s)}"
