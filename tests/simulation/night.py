"""A search under a simulated clock, disk, workers and operator: the package's own core decides, no Ray is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core import chain, conductor, ledger
from distrecvae.search.core.requests import Request, request_of
from tests.simulation.disk import Crash, Disk, Os
from tests.simulation.driver import Driver
from tests.simulation.plan import DRIVER_FAULTS, Plan
from tests.simulation.quick import quick, standing_in
from tests.simulation.world import LostError

BEGUN_S = 1_000_000.0
DAWN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Night:
    """One simulated search, from the operator's command to its end.

    Attributes:
        plan: what happens.
        disk: what is left of it.
        now_s: the clock, seconds.
        restarts: how often the driver began again.
        refused: the ledger was destroyed by another program, the driver killed before it saw that: it is refused.
        hit: faults that came about.
        most_at_once: trials that ran at a time, at most.
        answers: to the requests, in the order in which they were given.
    """

    plan: Plan
    disk: Disk = field(init=False)
    now_s: float = BEGUN_S
    restarts: int = 0
    refused: bool = False
    hit: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    answers: dict[str, tuple[bool, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.disk = Disk(Random(self.plan.seed ^ 0x5EED))  # noqa: S311
        self.cycles = 0
        self.wall_shift_s = 0.0
        self.operations_before = 0
        self.driver_faults = [fault for fault in self.plan.faults if fault.kind in DRIVER_FAULTS]
        self.astray: Counter[int] = Counter()
        """How often Ray will lose sight of a trial yet."""
        self.destroyed = False
        """Whether another program has cut the ledger, and nothing has put it right since."""
        self.worker_faults = [fault for fault in self.plan.faults if fault.kind not in DRIVER_FAULTS]
        self.reads = _Reading()
        self.mail: list[tuple[int, str, Request]] = []
        for position, (due, text) in enumerate(self.plan.requests):
            action, *words = text.split()
            if action == "continue":
                request = Request(action="continue", trials=[int(words[0])], number=int(words[1]))
            else:
                request = request_of(action, words)
            self.mail.append((due, f"{position:05d}", request))

    def run(self) -> Driver | None:
        """Run it to its end; return the driver that was the last; None where the ledger was refused, and rightly.

        Raises:
            LostError: it does not end, or does not continue.
        """
        with quick(), _simulated(self):
            for restarts in range(len(self.plan.faults) + 2):
                self.restarts = restarts
                self.disk.operations = 0
                self.arm()
                try:
                    driver = Driver(self)
                    driver.carry_out()
                except Crash:
                    self.hit[self.driver_faults.pop(0).kind] += 1
                except OSError:
                    self.disk.full_at = range(0)  # the operator made room
                    self.hit[self.driver_faults.pop(0).kind] += 1
                except ResultsError as error:
                    self._rescue(error)
                    if self.refused:
                        return None
                else:
                    return driver
                self.operations_before += self.disk.operations
                self.now_s += 60.0
        raise LostError("it does not end: the driver was restarted more often than there were faults")

    def arm(self) -> None:
        """Let the next of the driver's faults come about in its time, where it is one of the disk's."""
        disk, fault = self.disk, self.driver_faults[0] if self.driver_faults else None
        disk.crash_at = None
        if fault is None:
            return
        at = max(disk.operations + 1, fault.at - self.operations_before)
        if fault.kind in ("killed", "power"):
            disk.crash_at, disk.power = at, fault.kind == "power"
        elif fault.kind == "full":
            disk.full_at = range(at, at + fault.size)

    def _rescue(self, error: ResultsError) -> None:
        """Do what the message says: put what was rescued in the ledger's place."""
        rescued = "ledger-rescued.jsonl"
        if rescued in self.disk.files and "was changed by another program" in str(error):
            self.disk.files[LEDGER_FILE] = self.disk.files.pop(rescued)
            self.destroyed = False
        elif self.destroyed:
            self.refused = True
        else:
            raise LostError(f"it cannot be resumed: {error}")


class _Reading:
    """Reads a chain; the same bytes, read again at once, are not parsed again.

    A driver that begins holds the ledger to its marks, and then opens it; the first reader keeps nothing of it.
    """

    def __init__(self) -> None:
        self._last: tuple[bytes, chain.Content] | None = None

    def __call__(self, place: Any) -> chain.Content:
        """Return what `chain.read_chain` returns, or raise what it raises."""
        last, self._last = self._last, None
        if last is not None and place.exists() and place.read_bytes() == last[0]:
            return last[1]
        content = _read_chain(place)
        self._last = place.read_bytes(), content
        return content


_read_chain = chain.read_chain


class _Clock:
    """Stands for the module `time` where the conductor asks for the time."""

    def __init__(self, night: Night) -> None:
        self._night = night

    def monotonic(self) -> float:
        return self._night.now_s


@contextmanager
def _simulated(night: Night) -> Iterator[None]:
    """Put the simulated disk and clocks where the core asks for them."""
    places: list[tuple[Any, str, Any]] = [
        (chain, "os", Os()),
        (chain, "read_chain", night.reads),
        (conductor, "time", _Clock(night)),
        (ledger, "_now", lambda: DAWN + timedelta(seconds=night.now_s + night.wall_shift_s)),
    ]
    with standing_in(places):
        yield
