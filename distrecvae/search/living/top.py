"""The live table of a search that runs elsewhere: read from its folder, on one screen, nothing written."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from distrecvae.layout import LEDGER_FILE, LIVE_FILE, SEARCH_FILE
from distrecvae.metrics import on_validation, title_of
from distrecvae.search.core.ahead.enough import further
from distrecvae.search.core.ahead.forecast import Forecast
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import records_of
from distrecvae.search.core.records import Status, TrialRecord, leading
from distrecvae.search.core.steering import steered_space
from distrecvae.search.folder.live import Live, read_live
from distrecvae.search.folder.search_json import RUNNING, Description, read_description
from distrecvae.search.living.listing import standing_of
from distrecvae.search.space.space import SearchSpace
from distrecvae.search.watchers.standing import leaning, running_table, status_line
from distrecvae.storage.fetched import on_this_machine
from distrecvae.words import duration

LATEST = 5
"""Trials that ended last, shown below those that run."""
QUIET_S = 60.0
"""A running search that was not heard of for longer is said to be silent."""


@dataclass(frozen=True, repr=False)
class Standing:
    """A search as its folder tells of it at a moment.

    Attributes:
        place: where it lies: a folder, or a URI.
        status: running, interrupted, finished or killed, as `Listed` has it.
        described: what `search.json` says.
        records: its trials by number.
        elapsed_s: seconds that it took so far.
        silent_s: seconds since anything was heard of it; None where nothing was yet.
        live: what its workers are at and what is to go; None where it does not run, or says nothing.
        space: what is searched now; None where nothing was heard of it.
    """

    place: Path | str
    status: str
    described: Description
    records: Mapping[int, TrialRecord]
    elapsed_s: float
    silent_s: float | None
    live: Live | None = None
    space: SearchSpace | None = None

    @property
    def runs(self) -> bool:
        """Whether it is worth looking again."""
        return self.status == RUNNING

    def headline(self) -> str:
        """Return what it is and where it stands, in a line."""
        described = self.described
        what = f"{described.settings.model} on {Path(described.data).name}"
        if not self.runs:
            return f"{what}: {self.status} after {duration(self.elapsed_s)}"
        silent = self.silent_s is not None and self.silent_s > QUIET_S
        heard = f", silent for {duration(self.silent_s or 0.0)}" if silent else ""
        paused = self.live is not None and self.live.paused
        return f"{what}: {'paused after' if paused else 'running for'} {duration(self.elapsed_s)}{heard}"

    def to_go(self) -> str:
        """Return what is still to go, in words; empty where nothing tells."""
        if self.live is None or self.live.to_go is None:
            return ""
        return Forecast(*self.live.to_go).less(self.live.age_s).text()

    def further(self) -> str:
        """Return in words what the trials that have not started can be expected to bring; empty if that is unknown."""
        to_come = self.described.settings.trials - len(self.records)
        if not self.runs or to_come < 1:
            return ""
        at_once = self.described.plan.concurrent
        expected = further(self.records.values(), trials=to_come, at_once=at_once)
        return "" if expected is None else expected.text()

    def text(self, width: int = 100) -> str:
        """Return `screen` as plain text."""
        console = Console(file=io.StringIO(), width=width, no_color=True, force_terminal=False)
        with console.capture() as captured:
            console.print(self.screen())
        return captured.get().rstrip()

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text())}</pre>"

    def screen(self) -> RenderableType:
        """Return it for a terminal: what it is, how it stands, which trials run, the best one, which ended last."""
        settings, records = self.described.settings, self.records.values()
        head = Text(f"{self.place}  ", style="bold")
        head.append(self.headline(), style="not bold")
        line = ", ".join(filter(None, (status_line(list(records), settings), self.to_go(), self.further())))
        parts: list[RenderableType] = [head, Text(line)]
        if any(record.status is Status.RUNNING for record in records):
            parts += ["", running_table(records, settings)]
        if ended := self._ended():
            parts += ["", ended]
        if said := leaning(records, self.space or self.described.searched()):
            parts += ["", *(Text(each) for each in said)]
        return Group(*parts)

    def _ended(self) -> Table | None:
        records, title = self.records.values(), title_of(self.described.settings.metric)
        over = [record for record in records if record.ended_at is not None]
        latest = sorted(over, key=lambda record: (str(record.ended_at), record.number))[-LATEST:][::-1]
        best = leading(over)
        shown = ([best] if best is not None and best not in latest else []) + latest
        if not shown:
            return None
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("trial", "ended", title, "passes", "time"):
            table.add_column(name, justify="left" if name == "ended" else "right")
        for record in shown:
            number = f"{record.number}{' *' if record is best else ''}"
            how = f"{record.status}{f' ({record.reason})' if record.reason else ''}"
            score = "-" if record.score is None else f"{record.score:.4f}"
            table.add_row(number, Text(how), score, str(record.passes), duration(record.duration_s))
        return table


def standing(place: Path | str) -> Standing:
    """Return how the search in a folder, or at a URI, stands now; nothing is written: another process may be at work.

    At a URI it stands as it was mirrored last, a quarter of a minute ago as a rule.

    Raises:
        ResultsError: there is no search, or a file is damaged.
        StorageError: the URI cannot be read.
    """
    wanted = (SEARCH_FILE, LEDGER_FILE, LIVE_FILE)
    with on_this_machine(place, lambda name: name in wanted) as folder:
        described = read_description(folder, remedy="give the results folder of a search")
        afar = isinstance(place, str)
        # Nobody's lock is seen from afar: what it says of itself is believed, with how long ago that was.
        status = described.status if afar else standing_of(folder, described)
        live, ledger = read_live(folder) if status == RUNNING else None, folder / LEDGER_FILE
        # It is written every few seconds while the search runs, with the time that it took by then.
        since_s = _age_s(folder / SEARCH_FILE) if status == RUNNING and not afar else 0.0
        elapsed_s = described.elapsed_s + since_s if live is None else live.elapsed_s + live.age_s
        if not ledger.exists():
            return Standing(place, status, described, {}, elapsed_s, None, live)
        lines = read_chain(ledger).records
        records = records_of(lines, on_validation(described.settings.metric), ledger)
        space = steered_space(lines, described.settings, described.searched())
        heard_s = [live.age_s] if live is not None else []
        heard_s += [] if afar else [_age_s(ledger)]
    for number, doing in ({} if live is None else live.doing).items():
        if (record := records.get(int(number))) is not None and record.status is Status.RUNNING:
            record.doing = doing
            record.share, record.step_to_go_s = live.steps.get(number, (0.0, None)) if live else (0.0, None)
    return Standing(place, status, described, records, elapsed_s, min(heard_s, default=None), live, space)


def _age_s(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0  # it is being replaced
