"""Owns what is shown while a training run goes on, and how it is asked to stop."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from distrecvae.metrics import TITLES

if TYPE_CHECKING:
    from distrecvae.training.run import Run, RunSettings

SHARE_EVERY_S = 10.0
"""Seconds between two lines on the share of a long step that is done, where there is no terminal."""


def train_to_end(run: Run, settings: RunSettings) -> bool:
    """Train to the end; return whether it was stopped before by a signal."""
    with _stop_asked() as asked, _shown(settings, run) as show:
        for report in run.cycles():
            show(report)
            if asked() and run.ended is None:
                return True
    return False


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Yield a question: has SIGINT or SIGTERM come? A second one stops at once, without saving."""
    seen: list[int] = []

    def note(number: int, _frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        click.echo("\nstopping after this cycle; once more stops now and keeps the last checkpoint", err=True)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Seldom:
    """Passes on what it is told, but not oftener than a log should have it."""

    def __init__(self, tell: Callable[[float], None]) -> None:
        self._tell, self._told_at = tell, time.monotonic()

    def __call__(self, share: float) -> None:
        if time.monotonic() - self._told_at >= SHARE_EVERY_S:
            self._told_at = time.monotonic()
            self._tell(share)


@contextmanager
def _shown(settings: RunSettings, run: Run) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what shows a report: a progress bar on a terminal, else a line each."""
    key, title = f"valid/{settings.metric}", TITLES[settings.metric]

    def line(report: dict[str, Any]) -> str:
        best = run.best or report
        scores = f"{title} {report[key]:.4f}  best {best[key]:.4f}" if key in report else ""
        loss = f"  loss {report['train/loss']:.2f}" if "train/loss" in report else ""
        return (scores + loss).lstrip()

    if not sys.stdout.isatty():
        run.progress = _Seldom(lambda share: click.echo(f"solved {share:.0%}"))
        yield lambda report: click.echo(
            f"passes {report['passes']:4d}  {line(report)}  {report['train_s']:.1f} s"
        )
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from distrecvae.training.registry import solved_at_once

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("passes  {task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        total = 1 if solved_at_once(settings.model) else settings.max_passes
        task = progress.add_task("", total=total, completed=run.passes)
        run.progress = lambda share: progress.update(task, completed=run.passes + share)
        yield lambda report: progress.update(task, completed=report["passes"], description=line(report))
