"""What a search shows while it runs: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.watchers.standing import running_table, solved_share, status_line
from distrecvae.words import duration

REFRESH_S = 0.5
PLAIN_EVERY_S = 30.0


class Progress:
    """Shows the best so far, the running trials, the counts, the time gone and the time to come; a watcher.

    Args:
        console: where to; it knows whether it is a terminal.
        ledger: the search's record.
        config: the search's settings.
        concurrent: trials at once.
        elapsed_s: seconds that earlier runs of this search took.

    Attributes:
        n_trials: how many there will be.
    """

    def __init__(
        self,
        console: Console,
        ledger: Ledger,
        config: SearchConfig,
        *,
        concurrent: int,
        elapsed_s: float = 0.0,
    ) -> None:
        self._console, self._ledger, self._config = console, ledger, config
        self.n_trials = config.trials
        self._concurrent, self._elapsed_s = concurrent, elapsed_s
        self._started = time.monotonic()
        self._ended_before = sum(r.status is not Status.RUNNING for r in ledger.records.values())
        self._worked_before_s = self._worked_s()
        self._at_work_since: float | None = None
        self._shown_at = 0.0
        self._best_shown: tuple[int, float] | None = None
        self._live = (
            Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        )

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        self._shown_at = time.monotonic()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, record: TrialRecord) -> None:
        """A plain output says nothing of starts."""

    def reported(self, record: TrialRecord) -> None:
        """Say where a new best was found."""
        if self._at_work_since is None:
            # When it began to work, not when its process was begun: that takes seconds, and only once.
            took = record.reports[-1].get("train_s", 0.0) + record.reports[-1].get("evaluate_s", 0.0)
            self._at_work_since = max(self._started, time.monotonic() - took)
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
            if first_of_trial and self._live is None:
                self._line(
                    f"trial {best.number} leads: {self._config.metric} {best.score:.4f} at {best.passes} passes"
                )

    def ended(self, record: TrialRecord) -> None:
        """Say how a trial ended."""
        score = "-" if record.score is None else f"{record.score:.4f}"
        reason = f" ({record.reason})" if record.reason else ""
        text = (
            f"trial {record.number} {record.status}{reason}: {self._config.metric} {score}, {record.passes}"
        )
        text += " pass" if record.passes == 1 else " passes"
        if self._live is None:
            self._line(f"{text}, {duration(record.duration_s)}")
        elif record.status in (Status.FAILED, Status.DIVERGED):
            self._live.console.print(Text(text, style="yellow"))

    def warn(self, text: str) -> None:
        """Say a line that people should see: a trial lost its process and is run again, say."""
        if self._live is None:
            self._line(text)
        else:
            self._live.console.print(Text(text, style="yellow"))

    def refresh(self) -> None:
        """Show the present state if it is time to."""
        now = time.monotonic()
        if now - self._shown_at < (PLAIN_EVERY_S if self._live is None else REFRESH_S):
            return
        self._shown_at = now
        if self._live is None:
            self._line(self._status_line())
        else:
            self._live.update(self._table(), refresh=True)

    def _line(self, text: str) -> None:
        self._console.print(
            f"[{duration(self._elapsed())}] {text}", highlight=False, markup=False, soft_wrap=True
        )

    def _elapsed(self) -> float:
        return self._elapsed_s + time.monotonic() - self._started

    def _status_line(self) -> str:
        records = self._ledger.records.values()
        parts = [status_line(records, replace(self._config, trials=self.n_trials))]
        shares = [share for record in self._ledger.unfinished() if (share := solved_share(record))]
        if self._live is None and shares:
            parts.append(f"running: {', '.join(shares)}")
        left = self._remaining_s(sum(record.status is not Status.RUNNING for record in records))
        if left is not None:
            parts.append(f"about {duration(left)} to go")
        return ", ".join(parts)

    def _remaining_s(self, ended: int) -> float | None:
        """Project from the work that was done in this run; no projection before as many ended as run at once.

        A trial to come takes what those that ended took in the mean, and one under way the rest of that, at the pace of
        this run: seconds of work a second, of all that run at once.
        """
        if ended - self._ended_before < self._concurrent or self._at_work_since is None:
            return None
        pace = (self._worked_s() - self._worked_before_s) / max(1e-9, time.monotonic() - self._at_work_since)
        if not pace:
            return None
        records = self._ledger.records.values()
        over = [r.duration_s for r in records if r.status is not Status.RUNNING]
        under_way = [r.duration_s for r in records if r.status is Status.RUNNING]
        one = sum(over) / len(over)
        to_come = one * max(0, self.n_trials - len(records))
        left = (to_come + sum(max(0.0, one - worked) for worked in under_way)) / pace
        budget = self._config.time_budget_s
        return left if budget is None else min(left, max(0.0, budget - self._elapsed()))

    def _worked_s(self) -> float:
        return sum(record.duration_s for record in self._ledger.records.values())

    def _table(self) -> RenderableType:
        head = Text(f"{duration(self._elapsed())}  ", style="bold")
        head.append(self._status_line(), style="not bold")
        return Group(head, running_table(self._ledger.records.values(), self._config))
