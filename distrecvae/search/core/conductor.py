"""The course of a search: which trial comes next, what a report leads to, when it is over. No Ray in here."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from distrecvae.activity import WAITING
from distrecvae.errors import ConfigError, SpaceError
from distrecvae.files import write_text
from distrecvae.layout import TRACEBACK_FILE, trial_folder
from distrecvae.precisions import Precision
from distrecvae.runs.trial import TrialTask
from distrecvae.search.core.ahead.widening import Allows
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.proposals import Proposals
from distrecvae.search.core.records import Status, TrialRecord
from distrecvae.search.core.requests import REOPENING, Request
from distrecvae.search.core.room import Room
from distrecvae.search.core.rules import StoppingRule
from distrecvae.search.core.steering import Steering
from distrecvae.search.core.tasks import left_in_turn, trial_task, undecided
from distrecvae.search.core.unasked import unasked
from distrecvae.search.space.space import SearchSpace

RETRIES = 3
"""How often a trial whose process died is restarted from its checkpoint without getting any further."""


class Watcher(Protocol):
    """Something that shows or stores the course of a search: progress, event files, tables."""

    def started(self, record: TrialRecord) -> None:
        """A trial was assigned to a worker, the first time or again after an interruption."""

    def reported(self, record: TrialRecord) -> None:
        """A trial's new report was recorded."""

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""


class Conductor:
    """Assigns trials, receives their reports, decides; the ledger is written before anything else happens.

    Args:
        ledger: the search's record, possibly of an interrupted search.
        space: what is searched.
        config: the search's settings.
        rule: decides which trials stop early.
        folder: the results folder; tracebacks are written there.
        concurrent: trials at once, for the sampler.
        device: the trials' torch device.
        precision: of the trials' matrix products.
        watchers: told of everything after it was written down.
        elapsed_s: seconds that earlier runs of this search took.
        warm_starts: Optuna parameters of the trials after the first one, whole: what another search found good.
        config_class: the model's config, which has to take what the search is steered to; None asks nobody.
        allows: tells which configurations the model takes, and can be trained with; None: all.
        tell: is told what the search asked of itself, and what came of it.

    Attributes:
        ledger: as given.
        steering: what it is to do now.
        room: how many trials run at once, where memory ran out.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        space: SearchSpace,
        config: SearchConfig,
        rule: StoppingRule,
        folder: Path,
        concurrent: int = 1,
        device: str = "cpu",
        precision: Precision = "float32",
        watchers: Sequence[Watcher] = (),
        elapsed_s: float = 0.0,
        warm_starts: Sequence[Mapping[str, Any]] = (),
        config_class: type | None = None,
        allows: Allows | None = None,
        tell: Callable[[Request, str], None] = lambda *_: None,
    ) -> None:
        self.ledger = ledger
        self.steering = Steering(space, config, concurrent=concurrent, config_class=config_class)
        self._proposals = Proposals(self.steering, config, warm_starts)
        self.steering.replay(ledger.lines)
        self._config, self._rule, self._folder = config, rule, folder
        self._device, self._precision, self._watchers = device, precision, tuple(watchers)
        self._started, self._elapsed_s = time.monotonic(), elapsed_s
        self._waiting = deque(left_in_turn(ledger))
        self._undecided = undecided(ledger.lines)
        self._dropped: Counter[int] = Counter()
        self.room = Room(concurrent)
        self._allows, self._tell = allows, tell

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began, interruptions not counted."""
        return self._elapsed_s + time.monotonic() - self._started

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is spent."""
        budget = self._config.time_budget_s
        return budget is not None and self.elapsed_s >= budget

    @property
    def has_work(self) -> bool:
        """Whether there is another trial to start."""
        if self.out_of_time:
            return any(record.max_passes is not None for record in self._waiting)
        return bool(self._waiting) or not self.all_begun

    @property
    def all_begun(self) -> bool:
        """Whether no further trial will be started."""
        return len(self.ledger.records) >= self.steering.trials

    @property
    def paused(self) -> bool:
        """Whether the search is paused: no trial may run."""
        return self.steering.paused

    @property
    def at_once(self) -> int:
        """How many trials may run at once, now."""
        return 0 if self.paused else min(self.room.at_once, self.steering.concurrent)

    def next_task(self) -> TrialTask | None:
        """Return the next trial to run: an interrupted one first, then a new one; None when there are no more."""
        self.settle()
        self._ask_itself()
        if self.paused or not self.has_work:
            return None
        if self._waiting:
            record = self._waiting.popleft()
        else:
            steering, by = self.steering, self._proposals
            record = self.ledger.ask(
                by.sampler, steering.space.suggest, by.starting_values, by.redraws, steering.express()
            )
            steering.asked()
        record.doing = WAITING
        for watcher in self._watchers:
            watcher.started(record)
        return self.task(record)

    def settle(self) -> None:
        """End interrupted trials whose end is decided already: they need no worker."""
        for number in [n for n in self.steering.stopped if n in self.ledger.records]:
            self._stop_by_hand(number)
        for record in self._waiting:
            if record.reports and self._spent(record):
                self._end(record, Status.FINISHED, "")
            elif record.number == self._undecided:
                self._stop(record)
            self._stop_in_time(record)
        self._undecided = None
        self._waiting = deque(record for record in self._waiting if record.status is Status.RUNNING)

    def steer(self, name: str, request: Request, why: str = "") -> tuple[bool, str]:
        """Carry out a request; return whether it is done, and the answer. It is recorded first.

        Args:
            name: of the request; one that was taken up before, by an earlier run perhaps, is answered as it was.
            request: what is asked.
            why: begins the answer, where it is the search itself that asks.
        """
        if name in self.ledger.answers:
            return self.ledger.answers[name]
        steering, records = self.steering, self.ledger.records
        for record in self.ledger.unfinished():
            if record.reports and self._spent(record):  # it is over, though nobody has said so yet
                self._end(record, Status.FINISHED, "")
        facts = {**steering.facts(records), **({"by": name} if why else {})}
        try:
            done, answer = True, f"{why}{steering.check(request, records)}"
        except (ConfigError, SpaceError) as error:
            done, answer = False, str(error)
        self.ledger.steer(name, request, done=done, answer=answer, facts=facts)
        if done:
            steering.apply(request, facts)
            if request.action in REOPENING:
                self._waiting.append(records[request.trials[0]])
            self.settle()
        return done, answer

    def _ask_itself(self) -> None:
        """Before another trial is asked for: end the search, or widen its ranges, where its ledger says so."""
        if self.paused or self._waiting or self.all_begun or self.out_of_time:
            return
        at_once = max(1, self.at_once)
        sampler = self._proposals.sampler
        for own in unasked(
            self._config, self.steering, self.ledger, sampler, at_once=at_once, allows=self._allows
        ):
            done, answer = self.steer(own.name, own.request, own.why)
            if done:
                self._tell(own.request, answer)

    def keep_time(self) -> None:
        """End running trials once the time budget is spent, without waiting for their reports."""
        if self.out_of_time:
            for record in self.ledger.unfinished():
                self._stop_in_time(record)
            self.settle()

    def heard(self, number: int, metrics: Mapping[str, Any]) -> bool:
        """Receive one report; return whether the trial must stop now."""
        record = self.ledger.records[number]
        if self.ledger.report(number, metrics):
            for watcher in self._watchers:
                watcher.reported(record)
            self._stop(record)  # a report that is repeated, after a restart, was judged when it came first
        self._stop_in_time(record)
        return record.status is not Status.RUNNING

    def advanced(self, number: int, share: float, to_go_s: float | None = None) -> None:
        """Receive the share of a long step that is done, and what is to go; it is shown, not recorded."""
        self.ledger.records[number].share, self.ledger.records[number].step_to_go_s = share, to_go_s

    def dropped(self, number: int) -> bool:
        """Record that a trial was dropped through no fault of its own; return whether it is restarted."""
        record = self.ledger.records[number]
        self._dropped[number] += 1
        if record.status is not Status.RUNNING or self._dropped[number] > RETRIES:
            return False
        self._waiting.append(record)
        return True

    def reclaim(self) -> None:
        """Take back every running trial: the process that ran them has ended."""
        waiting = {record.number for record in self._waiting}
        for record in self.ledger.unfinished():
            if record.number not in waiting and not self.dropped(record.number):
                self._end(record, Status.FAILED, f"it was dropped {self._dropped[record.number]} times")

    def finished(self, number: int) -> None:
        """Record that a trial spent its budget; not where it was given a greater one meanwhile, and waits."""
        record = self.ledger.records[number]
        if not any(each is record for each in self._waiting):
            self._end(record, Status.FINISHED, "")

    def failed(self, number: int, status: Status, reason: str) -> None:
        """Record that a trial diverged or failed."""
        self._end(self.ledger.records[number], status, reason)

    def keep_traceback(self, number: int, text: str) -> str:
        """Write a trial's traceback beside it; return where to look, to follow its reason, or "" where it cannot be."""
        path = trial_folder(self._folder, number) / TRACEBACK_FILE
        with suppress(OSError):
            write_text(path, text)
            return f" (see {path.relative_to(self._folder)})"
        return ""

    def task(self, record: TrialRecord) -> TrialTask:
        """Return what a worker needs to run (or repeat) a trial."""
        return trial_task(
            record,
            self._config,
            device=self._device,
            precision=self._precision,
            ledger=self.ledger.mark.to_dict(),
        )

    def _spent(self, record: TrialRecord) -> bool:
        return record.passes_with_another > (record.max_passes or self._config.most_passes)

    def _stop_by_hand(self, number: int) -> None:
        record, why = self.ledger.records[number], self.steering.stopped.pop(number)
        self._end(record, Status.STOPPED, f"{why} at {record.passes} passes")

    def _stop(self, record: TrialRecord) -> None:
        """Stop the trial if the rule says so to its last report, which is the search's; by hand it may do as told."""
        if record.max_passes is None and self._rule.should_stop(record.number, self.ledger.curves()):
            self._end(record, Status.STOPPED, f"{self._config.scheduler} at {record.passes} passes")

    def _stop_in_time(self, record: TrialRecord) -> None:
        if record.max_passes is None and self.out_of_time:
            self._end(record, Status.STOPPED, f"time budget of {self._config.time_budget_s:g} s")

    def _end(self, record: TrialRecord, status: Status, reason: str) -> None:
        if record.status is not Status.RUNNING:
            return
        self.ledger.end(record.number, status, reason)
        record.doing = ""
        for watcher in self._watchers:
            watcher.ended(record)
