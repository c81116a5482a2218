"""Shows progress while runs train, and stops them on a signal."""

from __future__ import annotations

import csv
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from distrecvae.activity import GRAM, activity
from distrecvae.metrics import on_validation, title_of
from distrecvae.pacing import Remaining, Seldom
from distrecvae.signals import handled
from distrecvae.words import to_go_in_brackets

Tell = Callable[[float], None]
"""Is told which share of something is done, 0 to 1."""

BAR_EVERY_S = 0.1
"""Seconds between two looks of a progress bar, at least: batches may be many."""

if TYPE_CHECKING:
    from distrecvae.data.dataset import Split
    from distrecvae.runs.training_run import Run, RunSettings
    from distrecvae.search.planning.resources import Slots

SHARE_EVERY_S = 10.0
"""Seconds between two lines on the share of a long step that is done, where there is no terminal."""
CYCLE_EVERY_S = 60.0
"""The same within a cycle: there is a line a minute."""


def say(line: str, file: TextIO | None = None) -> None:
    """Print a line and flush it."""
    print(line, file=file, flush=True)


def train_to_end(run: Run, settings: RunSettings) -> bool:
    """Train to the end; return whether a signal stopped it early. What was completed is saved then.

    It stops between two batches; a cycle that was cut short is trained again when the run is resumed.
    """
    from distrecvae.runs.halting import StopRun, within_cycles

    if run.remark:
        say(run.remark)
    with _stop_asked() as asked, _shown(settings, run) as (show, show_share):
        try:
            with within_cycles(run, asked, show_share):
                for report in run.cycles():
                    show(report)
                    if asked() and run.ended is None:
                        run.save()
                        return True
        except StopRun:
            return True
    return False


def train_seeds_to_end(
    out: Path,
    runs: Mapping[Path, RunSettings],
    split: Split,
    *,
    device: str,
    threads: int | None,
    checkpoint_every_s: float,
    address: str | None,
) -> bool:
    """Train runs that differ in their seeds side by side on Ray; return whether a signal stopped them early."""
    from distrecvae.search.on_ray.side_by_side import train_seeds

    def tell(slots: Slots) -> None:
        a_gpu = f" and {slots.gpus:g} GPU" if slots.gpus else ""
        say(f"{len(runs)} seeds, {slots.concurrent} at once, each on {slots.cpus} CPU{a_gpu}")

    with _stop_asked() as asked, _seeds_shown(runs) as show:

        def look() -> bool:
            show()
            return asked()

        return train_seeds(
            runs,
            out,
            split,
            device=device,
            threads=threads,
            checkpoint_every_s=checkpoint_every_s,
            address=address,
            tell=tell,
            look=look,
        )


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Yield a question: has SIGINT or SIGTERM come? A second one stops at once, without saving."""
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # no other thread may hear them
        return

    def note(number: int, _frame: object) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        say("\nstopping; a second signal stops at once and keeps the last checkpoint", file=sys.stderr)

    with handled(note, (signal.SIGINT, signal.SIGTERM)):
        yield lambda: bool(seen)


def _shares_said() -> Tell:
    """Return a function that prints, now and then, how far a long step is and how long it will take."""
    remaining = Remaining()

    def line(share: float, to_go_s: float | None) -> None:
        what = "Gram matrix" if activity() == GRAM else "solved"
        say(f"{what} {share:.0%}{to_go_in_brackets(to_go_s)}")

    tell = Seldom(line, SHARE_EVERY_S)
    return lambda share: tell(share, remaining.after(share))


@contextmanager
def _shown(settings: RunSettings, run: Run) -> Iterator[tuple[Callable[[dict[str, Any]], None], Tell]]:
    """Yield a function that shows a report and one that shows a cycle's progress: a bar on a terminal, else lines."""
    key, title = on_validation(settings.metric), title_of(settings.metric)

    def line(report: dict[str, Any]) -> str:
        best = run.best or report
        scores = f"{title} {report[key]:.4f}  best {best[key]:.4f}" if key in report else ""
        loss = f"  loss {report['train/loss']:.2f}" if "train/loss" in report else ""
        return (scores + loss).lstrip()

    if not sys.stdout.isatty():
        run.progress = _shares_said()
        within = Seldom(
            lambda share: say(f"passes {run.passes:4d}  and {share:.0%} of a cycle"), CYCLE_EVERY_S
        )

        def show(report: dict[str, Any]) -> None:
            within.put_off()
            say(f"passes {report['passes']:4d}  {line(report)}  {report['train_s']:.1f} s")

        yield show, within
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

        def advance(passes: float) -> None:
            progress.update(task, completed=run.passes + passes)

        run.progress = lambda share: progress.update(
            task, completed=run.passes + share, description=activity()
        )
        yield (
            lambda report: progress.update(task, completed=report["passes"], description=line(report)),
            Seldom(lambda share: advance(share * run.passes_per_cycle), BAR_EVERY_S),
        )


@contextmanager
def _seeds_shown(runs: Mapping[Path, RunSettings]) -> Iterator[Callable[[], None]]:
    """Yield a function that shows runs' progress by their histories: a bar each on a terminal, or a line per report."""
    reported: dict[Path, dict[str, str]] = {}

    def news() -> Iterator[tuple[Path, RunSettings, dict[str, str]]]:
        for place, settings in runs.items():
            report = _last_report(place)
            if report is not None and report != reported.get(place):
                reported[place] = report
                yield place, settings, report

    def score(settings: RunSettings, report: dict[str, str]) -> str:
        return f"{title_of(settings.metric)} {float(report[on_validation(settings.metric)]):.4f}"

    if not sys.stdout.isatty():

        def lines() -> None:
            for _, settings, report in news():
                passes = int(report["passes"])
                say(f"seed {settings.seed}  passes {passes:4d}  {score(settings, report)}")

        yield lines
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()) as progress:
        tasks = {
            place: progress.add_task(f"seed {settings.seed}", total=settings.max_passes)
            for place, settings in runs.items()
        }

        def bars() -> None:
            for place, settings, report in news():
                words = f"seed {settings.seed}  {score(settings, report)}"
                progress.update(tasks[place], completed=int(report["passes"]), description=words)

        yield bars


def _last_report(place: Path) -> dict[str, str] | None:
    """Return the newest row of a run's history; None before there is one."""
    from distrecvae.runs.history import HISTORY_FILE

    try:
        with (place / HISTORY_FILE).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))[-1]
    except (OSError, IndexError):
        return None
