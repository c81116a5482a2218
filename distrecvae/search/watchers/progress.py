"""What a search shows while it runs: a live table on a terminal or in a notebook, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from distrecvae.activity import activity
from distrecvae.metrics import title_of
from distrecvae.pacing import Remaining
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.notebook import notebook_table
from distrecvae.search.watchers.outlook import Outlook
from distrecvae.search.watchers.standing import (
    doing_line,
    leaning,
    running_table,
    solved_share,
    status_line,
)
from distrecvae.words import duration, to_go_in_brackets

REFRESH_S = 0.5
NOTEBOOK_EVERY_S = 2.0
PLAIN_EVERY_S = 60.0
PREPARING_EVERY_S = 10.0
"""The same before the trials, when nothing else is said."""


class Table(Protocol):
    """Something that shows the present state in the place of the one before."""

    def update(self, shown: RenderableType) -> None:
        """Show this now."""

    def stop(self) -> None:
        """Show nothing any more."""


class _Terminal:
    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def update(self, shown: RenderableType) -> None:
        self._live.update(shown, refresh=True)

    def stop(self) -> None:
        self._live.stop()


class Progress:
    """Shows the best so far, the running trials and what they do, the counts, the time gone and to come; a watcher.

    Args:
        console: where to; it knows whether it is a terminal.
        ledger: the search's record.
        config: the search's settings.
        outlook: tells what is still to go.
        space: what is searched.
        elapsed_s: seconds that earlier runs of this search took.
    """

    def __init__(
        self,
        console: Console,
        ledger: Ledger,
        config: SearchConfig,
        *,
        outlook: Outlook,
        space: SearchSpace | None = None,
        elapsed_s: float = 0.0,
    ) -> None:
        self._console, self._ledger, self._config = console, ledger, config
        self._outlook, self._space, self._elapsed_s = outlook, space, elapsed_s
        self._started = time.monotonic()
        self._shown_at = 0.0
        self._best_shown: tuple[int, float] | None = None
        self._table: Table | None = None
        self._every_s = PLAIN_EVERY_S
        self._remaining = Remaining()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._table, self._every_s = _Terminal(self._console), REFRESH_S
        elif (table := notebook_table()) is not None:
            self._table, self._every_s = table, NOTEBOOK_EVERY_S
        self._shown_at = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._table is not None:
            self._table.stop()
            self._table = None

    def started(self, record: TrialRecord) -> None:
        """Plain output does not mention starts."""

    def reported(self, record: TrialRecord) -> None:
        """Say where a new best was found."""
        best = self._ledger.best()
        if (
            best is None
            or best.score is None
            or best.number != record.number
            or best.passes < self._config.first_rung
        ):
            return
        if self._best_shown is None or best.score > self._best_shown[1]:
            first_of_trial = self._best_shown is None or self._best_shown[0] != best.number
            self._best_shown = (best.number, best.score)
            if first_of_trial and self._table is None:
                title = title_of(self._config.metric)
                self._line(f"trial {best.number} leads: {title} {best.score:.4f} at {best.passes} passes")

    def ended(self, record: TrialRecord) -> None:
        """Say how a trial ended."""
        score = "-" if record.score is None else f"{record.score:.4f}"
        reason = f" ({record.reason})" if record.reason else ""
        title = title_of(self._config.metric)
        text = f"trial {record.number} {record.status}{reason}: {title} {score}, {record.passes}"
        text += " pass" if record.passes == 1 else " passes"
        if self._table is None:
            self._line(f"{text}, {duration(record.duration_s)}")
        elif record.status in (Status.FAILED, Status.DIVERGED):
            self._console.print(Text(text, style="yellow"))

    def warn(self, text: str) -> None:
        """Print a line that people should see, such as a trial that lost its process and is restarted."""
        if self._table is None:
            self._line(text)
        else:
            self._console.print(Text(text, style="yellow"))

    def preparing(self, share: float) -> None:
        """Show how far is what all trials have in common, if it is time to; it comes before them."""
        to_go_s, now = self._remaining.after(share), time.monotonic()
        if now - self._shown_at < min(self._every_s, PREPARING_EVERY_S):
            return
        self._shown_at = now
        text = f"{activity()}, once for all trials: {share:.0%}{to_go_in_brackets(to_go_s)}"
        if self._table is None:
            self._line(text)
        else:
            self._table.update(Text(f"{duration(self._elapsed())}  {text}"))

    def refresh(self) -> None:
        """Show the present state if it is time to."""
        now = time.monotonic()
        if now - self._shown_at < self._every_s:
            return
        self._shown_at = now
        if self._table is None:
            self._line(self._status_line())
        else:
            self._table.update(self._screen())

    def _line(self, text: str) -> None:
        self._console.print(
            f"[{duration(self._elapsed())}] {text}", highlight=False, markup=False, soft_wrap=True
        )

    def _elapsed(self) -> float:
        return self._elapsed_s + time.monotonic() - self._started

    def _status_line(self) -> str:
        records = self._ledger.records.values()
        parts = [status_line(records, replace(self._config, trials=self._outlook.n_trials))]
        shares = [share for record in self._ledger.unfinished() if (share := solved_share(record))]
        if self._table is None:
            parts += [f"running: {', '.join(shares)}"] if shares else []
            parts += [doing] if (doing := doing_line(records)) else []
        if (to_go := self._outlook.to_go(self._elapsed())) is not None:
            parts.append(to_go.text())
        if (further := self._outlook.further()) is not None:
            parts.append(further.text())
        return ", ".join(parts)

    def _screen(self) -> RenderableType:
        head = Text(f"{duration(self._elapsed())}  ", style="bold")
        head.append(self._status_line(), style="not bold")
        records = self._ledger.records.values()
        space = self._outlook.space or self._space
        said = [] if space is None else leaning(records, space)
        return Group(head, running_table(records, self._config), *(Text(line, style="dim") for line in said))
