"""A process of a simulated search: what Ray's loop and `search/course.py` do, as a list of events.

A worker completes a cycle, its state is kept, its report is heard, the conductor answers. The order is the product's.
"""

from __future__ import annotations

import heapq
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from distrecvae.errors import ResultsError
from distrecvae.layout import LEDGER_FILE, SEARCH_FILE
from distrecvae.search.core.chain import Mark, require_reaches
from distrecvae.search.core.conductor import RETRIES, Conductor
from distrecvae.search.core.config import SearchConfig
from distrecvae.search.core.ledger import Ledger
from distrecvae.search.core.records import KEPT_TRIALS, Status
from distrecvae.search.core.requests import Request
from distrecvae.search.core.room import Verdict
from distrecvae.search.core.silence import Silence, Step
from distrecvae.search.folder.keeper import Keeper
from tests.search.simulated import METRIC, PASSES_PER_CYCLE
from tests.simulation.disk import Place
from tests.simulation.plan import MIN_PASSES
from tests.simulation.world import (
    LostError,
    Run,
    States,
    report_of,
    rule_of,
    space_of,
    state_name,
)

if TYPE_CHECKING:
    from tests.simulation.night import Night

LOOK_EVERY_S, WRITE_EVERY_S = 10.0, 10.0
TICK_S = 5.0
MOST_EVENTS = 20_000
"""A night that has more does not end."""


class Driver:
    """One process of the search: begun by the operator, over when the search is, or when it is killed.

    Args:
        night: what it lives in.
    """

    def __init__(self, night: Night) -> None:
        self.night, plan, disk = night, night.plan, night.disk
        place = cast(Any, Place(disk))
        self.states = States(disk)
        elapsed_s = self._require_whole_ledger()
        self.config = SearchConfig(
            trials=plan.trials, max_passes=plan.max_passes, min_passes=MIN_PASSES, seed=plan.seed % 2**31,
            sampler=plan.sampler, scheduler=plan.scheduler,
            reduction_factor=plan.reduction_factor, time_budget_s=plan.time_budget_s,
            widen=plan.widen,
        )  # fmt: skip
        self.ledger = Ledger(place, METRIC, {"fingerprint": "simulated"})
        if night.restarts and night.restarts % 2:
            self.ledger.resumed(
                {"environment": {"distrecvae": f"0.{night.restarts}"}}
            )  # under another version
        self.keeper = Keeper(cast(Any, self.states), self.ledger, n_best=KEPT_TRIALS)
        self.conductor = Conductor(
            ledger=self.ledger, space=space_of(plan), config=self.config, rule=rule_of(plan), folder=place,
            concurrent=plan.workers, watchers=(self.keeper,), elapsed_s=elapsed_s,
            tell=lambda request, _: night.hit.update({f"asked itself to {request.action}": 1}),
        )  # fmt: skip
        self.silence = Silence(self.ledger.records)
        self.live: dict[int, Run] = {}
        self.pending: list[Run] = []
        self.strayed: Counter[int] = Counter()
        self.unnoticed: dict[int, int] = {}
        """Trials that Ray lost sight of while its loop runs, and how often they had ended until then."""
        self.events: list[tuple[float, int, int, str]] = []
        self.order = 0
        self.looked_s = self.wrote_s = self.ticked_s = night.now_s
        self._write()

    def carry_out(self) -> None:
        """Run the search to its end, as `course.py` does.

        Raises:
            Crash: the process is gone.
            OSError: the disk is full.
            ResultsError: the ledger was changed by another program.
            LostError: it does not end.
        """
        conductor = self.conductor
        conductor.settle()
        self._take_up()
        conductor.settle()
        while conductor.has_work:
            self._loop()
            self._notice()
            conductor.reclaim()
            self._require_given_up_in_time()
        conductor.settle()
        if conductor.ledger.unfinished() or not (conductor.all_begun or conductor.out_of_time):
            raise LostError("the search ended, and was not over")
        self.ledger.require_in_place()
        self.keeper.clean_all()
        self._write()

    def _notice(self) -> None:
        """Count the losses: Ray's loop is over.

        A loss whose trial ended before that is known to nobody and costs it nothing, though it was continued since
        (night 2018498).
        """
        self.strayed.update(number for number, ends in self.unnoticed.items() if self._ends(number) == ends)
        self.unnoticed.clear()

    def _ends(self, number: int) -> int:
        return sum(line["kind"] == "ended" and line["trial"] == number for line in self.ledger.lines)

    def _require_given_up_in_time(self) -> None:
        """A trial that Ray lost sight of is run again as often as is promised, and no more often."""
        for number, times in self.strayed.items():
            record = self.ledger.records[number]
            if record.status is Status.RUNNING and times > RETRIES:
                raise LostError(f"trial {number} was lost {times} times, and is run again")
            if record.reason.startswith("it was dropped") and times <= RETRIES:
                raise LostError(f"trial {number} was lost {times} times, and given up: {record.reason}")

    def _loop(self) -> None:
        """Do what Tune's loop does, until nothing runs and nothing is to come."""
        night = self.night
        for _ in range(MOST_EVENTS):
            self._fill()
            if not self.live and not self.pending:
                if not self.conductor.paused:
                    return
                self._operator_comes_by()
                continue
            self._operator_comes_by() if not self.live else self._next_event()
            self._driver_faults()
            self.conductor.keep_time()
            if night.now_s - self.looked_s >= LOOK_EVERY_S:
                self.looked_s = night.now_s
                self.ledger.require_in_place()
            self._take_up()
            if night.now_s - self.wrote_s >= WRITE_EVERY_S:
                self._write()
            self._sweep()
        raise LostError(f"it does not end: {MOST_EVENTS} events")

    def _fill(self) -> None:
        """Begin trials while there is room."""
        conductor, night = self.conductor, self.night
        while len(self.live) < conductor.at_once:
            if self.pending:
                run = self.pending.pop(0)
                if self.ledger.records[run.task.number].status is not Status.RUNNING:
                    continue
            else:
                task = conductor.next_task()
                if task is None:
                    return
                run = Run(task)
            self.live[run.task.number] = run
            night.most_at_once = max(night.most_at_once, len(self.live))
            if len(self.live) > night.plan.workers:
                raise LostError(f"{len(self.live)} trials at once")
            conductor.room.began()
            self.silence.heard(run.task.number)
            kept = self.states.latest(run.task.number)
            fits = kept is not None and kept["config"] == run.task.config and kept["seed"] == run.task.seed
            run.cycle = kept["cycle"] if kept is not None and fits else 0
            self._later(run, 0.5, "reports") if run.cycle else self._later(
                run, self._cycle_s(run), "computes"
            )

    def _next_event(self) -> None:
        """Let time pass until something happens, at most `TICK_S`: the loop looks for silent trials all the while."""
        night = self.night
        at_s = self.events[0][0] if self.events else math.inf
        if at_s > night.now_s + TICK_S:
            night.now_s += TICK_S
        else:
            at_s, order, number, what = heapq.heappop(self.events)
            run = self.live.get(number)
            if run is None or run.order != order:
                return  # of a worker that is gone
            night.now_s = max(night.now_s, at_s)
            self._computed(run) if what == "computes" else self._reported(run)
        passed_s, self.ticked_s = min(night.now_s - self.ticked_s, TICK_S), night.now_s
        for silent in self.silence.passed(passed_s):
            if silent.step is Step.STOP and silent.number in self.live:
                night.hit["stopped"] += 1
                self._lost(self.live[silent.number], memory=False)

    def _computed(self, run: Run) -> None:
        """A worker has completed a cycle."""
        night = self.night
        run.cycle += 1
        night.cycles += 1
        last = (run.cycle + 1) * PASSES_PER_CYCLE > run.task.max_passes
        fault = None
        if night.worker_faults and night.cycles >= night.worker_faults[0].at:
            fault = night.worker_faults.pop(0)
            night.hit[fault.kind] += 1
        if fault is not None and fault.kind == "astray":
            night.astray[run.task.number] = fault.size
        run.leaving = run.leaving or self.conductor.paused or (fault is not None and fault.kind == "drains")
        knows = any(record.reports for record in self.ledger.records.values())
        hangs_at_first = fault is not None and fault.kind in ("hangs", "late") and not knows
        if fault is not None and (fault.kind in ("dies", "memory", "damaged") or hangs_at_first):
            # Where no cycle is known a silent trial is named and left alone: somebody stops it.
            if fault.kind == "damaged" and state_name(run.task.number) in night.disk.files:
                night.disk.files[state_name(run.task.number)].seen[:] = b"damaged"
            self._lost(run, memory=fault.kind == "memory")
            return
        if last or run.leaving or run.cycle % night.plan.checkpoint_every == 0:
            self.states.put(run.task, run.cycle)
        if fault is not None and fault.kind == "hangs":
            run.order = -1  # it says nothing any more
        elif (fault is not None and fault.kind == "lost") or night.astray[run.task.number]:
            night.astray[run.task.number] = max(0, night.astray[run.task.number] - 1)
            self.unnoticed[run.task.number] = self._ends(run.task.number)
            self._gone(run)  # Tune lost sight of it
        elif fault is not None and fault.kind in ("late", "slow"):
            self._later(run, 15.0 * fault.size, "reports")
        else:
            self._later(run, 0.1, "reports")
            report = self._report(run)
            if fault is not None and fault.kind == "twice" and not math.isnan(report[METRIC]):
                self._take_up()  # what is due before a report is taken up before it, however early that comes
                if self.ledger.records[run.task.number].status is Status.RUNNING:
                    self.conductor.heard(run.task.number, report)

    def _reported(self, run: Run) -> None:
        """The driver hears a report, and answers."""
        number, report = run.task.number, self._report(run)
        if math.isnan(report[METRIC]):
            self.conductor.failed(number, Status.DIVERGED, "loss is nan")
            over = True
        else:
            known = self.ledger.records[number].passes
            over = self.conductor.heard(number, report)
            self.silence.heard(number)
            if self.ledger.records[number].passes > known:
                run.deaths = 0
                self.conductor.room.advanced(number)
        if over:
            self._gone(run)
        elif (run.cycle + 1) * PASSES_PER_CYCLE > run.task.max_passes:
            self._gone(run)
            self.conductor.finished(number)
        elif run.leaving:
            run.leaving = False
            self._gone(run)
            self.pending.append(run)
        else:
            self._later(run, self._cycle_s(run), "computes")

    def _lost(self, run: Run, *, memory: bool) -> None:
        """A trial's process died: it is run again, unless that happened too often at one place."""
        number, conductor = run.task.number, self.conductor
        running = len(self.live)
        self._gone(run)
        if memory:
            verdict = conductor.room.ran_out(number, running, self.night.now_s)
            if verdict is Verdict.FAILED:
                conductor.failed(number, Status.FAILED, "memory ran out")
                return
        else:
            run.deaths += 1
        if run.deaths <= RETRIES:
            self.pending.append(run)
        else:
            self.strayed[number] += 1
            if not conductor.dropped(number):
                conductor.failed(number, Status.FAILED, f"its process died {run.deaths} times")

    def _gone(self, run: Run) -> None:
        self.live.pop(run.task.number, None)
        self.silence.over(run.task.number)

    def _sweep(self) -> None:
        """Stop workers whose trials have ended."""
        for number in [n for n in self.live if self.ledger.records[n].status is not Status.RUNNING]:
            self._gone(self.live[number])
        self.pending = [
            run for run in self.pending if self.ledger.records[run.task.number].status is Status.RUNNING
        ]

    def _take_up(self) -> None:
        """Take up the requests that have come in, and answer them."""
        night = self.night
        if not night.mail:
            return
        events = len(self.ledger.records) + sum(len(each.reports) for each in self.ledger.records.values())
        while night.mail and night.mail[0][0] <= events:
            _, name, request = night.mail[0]
            answer = self.conductor.steer(name, request)
            self._write()
            night.disk.operate()  # the answer is written
            if night.answers.setdefault(name, answer) != answer:
                raise LostError(f"request {name} was answered {night.answers[name]}, and then {answer}")
            night.disk.operate()  # the request is removed
            night.mail.pop(0)

    def _operator_comes_by(self) -> None:
        """Nothing runs, the search is paused: in the morning somebody sends what else was to be asked, or `go`."""
        night = self.night
        night.now_s += 3600.0
        if night.mail:
            night.mail[0] = (0, *night.mail[0][1:])
        else:
            night.mail.append(
                (0, f"{len(night.plan.requests) + len(night.answers):05d}", Request(action="go"))
            )
        self._take_up()

    def _driver_faults(self) -> None:
        """Let what goes wrong beside the disk's operations come about."""
        night, disk = self.night, self.night.disk
        if not night.driver_faults or night.operations_before + disk.operations < night.driver_faults[0].at:
            return
        fault = night.driver_faults[0]
        passed = night.operations_before + disk.operations >= fault.at + fault.size
        if fault.kind in ("killed", "power") or (fault.kind == "full" and not passed):
            return  # the operations on the disk meet it
        night.driver_faults.pop(0)
        night.hit[fault.kind] += 1
        disk.full_at = range(0)
        if fault.kind == "sleeps":
            night.now_s += 300.0 * fault.size
        elif fault.kind == "clock":
            night.wall_shift_s += (-1) ** fault.size * 3600.0 * fault.size
        elif fault.kind == "second":
            other = disk.files[LEDGER_FILE]
            line = b'{"kind":"resumed","at":"of another driver","check":"00000000000000000000000000000000"}\n'
            if fault.size % 2:
                other.write(len(other.seen), line)
            else:
                disk.replace(LEDGER_FILE, bytes(other.seen[: len(other.seen) // 2]))
            night.destroyed = True
            self.looked_s = -math.inf
        night.arm()

    def _write(self) -> None:
        """Write `search.json`: how long the search took so far, and how long its ledger is."""
        self.wrote_s = self.night.now_s
        content = {"elapsed_s": self.conductor.elapsed_s, "ledger": self.ledger.mark.to_dict()}
        self.night.disk.replace(SEARCH_FILE, json.dumps(content).encode())

    def _require_whole_ledger(self) -> float:
        """Hold the ledger to what other files say of it, as `folder/marks.py` does; return the seconds so far."""
        night, disk = self.night, self.night.disk
        described = json.loads(disk.read(SEARCH_FILE)) if SEARCH_FILE in disk.files else None
        marks = list(self.states.marks())
        if described is not None:
            marks.append(Mark.from_dict(described["ledger"]))
        if LEDGER_FILE in disk.files or any(mark.lines for mark in marks):
            place = cast(Any, Place(disk, LEDGER_FILE))
            content = night.reads(place)
            for mark in marks:
                require_reaches(content, mark, place, cast(Any, Place(disk, SEARCH_FILE)))
            self._require_reports(content.records)
        return float(described["elapsed_s"]) if described is not None else 0.0

    def _require_reports(self, lines: Sequence[Mapping[str, Any]]) -> None:
        reported = Counter(line["trial"] for line in lines if line["kind"] == "report")
        for line in lines:
            kept = self.states.latest(line["trial"]) if line["kind"] == "asked" else None
            of_it = kept is not None and kept["config"] == line["config"]
            if kept is not None and of_it and kept["cycle"] > reported[line["trial"]] + 1:
                raise ResultsError("a state has reports that the ledger has not")

    def _report(self, run: Run) -> dict[str, Any]:
        return report_of(self.night.plan, run.task.config, run.cycle)

    def _cycle_s(self, run: Run) -> float:
        return 1.0 + float(run.task.config["width"]) / 100

    def _later(self, run: Run, seconds: float, what: str) -> None:
        self.order += 1
        run.order = self.order
        heapq.heappush(self.events, (self.night.now_s + seconds, self.order, run.task.number, what))
