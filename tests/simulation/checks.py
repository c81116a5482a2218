"""What must hold of a search after a simulated night, whatever went wrong in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.ahead.widening import Allows, pulls
from distrecvae.search.core.chain import read_chain
from distrecvae.search.core.ledger import curves_of, replayed
from distrecvae.search.core.records import KEPT_TRIALS, Status, TrialRecord, by_score
from distrecvae.search.core.requests import REOPENING
from distrecvae.search.core.steering import Steering
from distrecvae.search.space.space import SearchSpace
from tests.search.simulated import METRIC, PASSES_PER_CYCLE
from tests.simulation.disk import Place
from tests.simulation.driver import Driver
from tests.simulation.night import Night
from tests.simulation.oracle import stops
from tests.simulation.plan import DEADLY, Plan
from tests.simulation.steered import answered_once, done_where_it_can_be, is_done, stopped_as_told
from tests.simulation.world import LostError, course_of, report_of, require, space_of

Line = Mapping[str, Any]


def check(plan: Plan) -> Night:
    """Run a night, and hold it to all that is promised; return it.

    Raises:
        LostError: a promise was broken; the text says which.
    """
    night = Night(plan)
    driver = night.run()
    if driver is None:
        return night
    content = read_chain(cast(Any, Place(night.disk, LEDGER_FILE)))
    lines = list(content.records)
    records = _every_step(plan, lines)
    require(
        course_of(records) == course_of(driver.ledger.records),
        "the file tells another course than the driver",
    )
    require(content.torn_bytes == 0, "the file ends in half a line")
    _accounts(plan, lines, records)
    _histories(plan, records)
    answered_once(night, lines)
    stopped_as_told(lines)
    done_where_it_can_be(plan, lines)
    if plan.widen:
        widened_as_it_pulled(lines, space_of(plan), _config(plan), plan.workers)
    _what_is_kept(night, driver, records)
    if plan.determined:
        expected, answers = _undisturbed(plan.undisturbed())
        require(course_of(records) == expected, "the outcome is another than the undisturbed one's")
        require(list(night.answers.values()) == answers, "the operator was answered otherwise")
    return night


@lru_cache(maxsize=64)
def _undisturbed(plan: Plan) -> tuple[list[tuple[Any, ...]], list[tuple[bool, str]]]:
    night = Night(plan)
    driver = night.run()
    assert driver is not None
    return course_of(driver.ledger.records), list(night.answers.values())


def _every_step(plan: Plan, lines: Sequence[Line]) -> dict[int, TrialRecord]:
    """Go through the ledger line by line: each decision is the rule's, made at once, and no budget is overrun."""
    judged = None
    records: dict[int, TrialRecord] = {}
    points: dict[int, tuple[tuple[int, float], ...]] = {}
    known: dict[int, tuple[tuple[int, float], ...]] = {}
    """Of the trials that have not failed; only lines that are no reports change which these are."""
    for line, records in replayed(lines, METRIC, cast(Any, LEDGER_FILE)):
        if judged is not None and line["kind"] in ("asked", "report"):
            raise LostError(
                f"trial {judged} was to end, and {line['kind']} of trial {line['trial']} came before"
            )
        if line["kind"] == "ended":
            by_rule = line["reason"].startswith(plan.scheduler)
            require(by_rule == (line["trial"] == judged), f"trial {line['trial']} ended: {line['reason']}")
            judged = None if by_rule else judged
        if line["kind"] == "report":
            record = records[line["trial"]]
            budget = record.max_passes or plan.max_passes
            if record.passes > budget:
                raise LostError(f"trial {record.number} had {record.passes} passes of {budget}")
            for n, curve in curves_of([record]).items():
                points[n] = known[n] = curve.points
            if record.max_passes is None and stops(plan, record.number, known):
                judged = record.number
        else:
            known = {n: points.get(n, ()) for n, each in records.items() if each.status is not Status.FAILED}
    return records


def _accounts(plan: Plan, lines: Sequence[Line], records: Mapping[int, TrialRecord]) -> None:
    """Every trial is accounted for once."""
    kinds = Counter((line["kind"], line["trial"]) for line in lines if "trial" in line)
    again = Counter(
        line["what"]["trials"][0] for line in lines if line["kind"] == "steered" and line["done"]
        and line["what"]["action"] in REOPENING
    )  # fmt: skip
    for number, record in records.items():
        require(kinds["asked", number] == 1, f"trial {number} was asked for {kinds['asked', number]} times")
        ends = kinds["ended", number]
        require(ends == 1 + again[number], f"trial {number} ended {ends} times")
        require(
            record.status is not Status.RUNNING and record.ended_at is not None,
            f"trial {number} has not ended",
        )
        require(
            bool(record.reason) == (record.status is not Status.FINISHED),
            f"trial {number}: {record.reason!r}",
        )
        if record.status is Status.FAILED:
            costs = (*DEADLY, "lost", "killed", "power", "full", "second")
            deaths = sum(
                fault.size if fault.kind == "astray" else fault.kind in costs for fault in plan.faults
            )
            require(deaths > 3, f"trial {number} was given up after at most {deaths} deaths: {record.reason}")
        if record.status is Status.FINISHED:
            full = (record.max_passes or plan.max_passes) - PASSES_PER_CYCLE < record.passes
            require(full, f"trial {number} finished after {record.passes} passes")
    steering = Steering(space_of(plan), _config(plan), concurrent=plan.workers)
    steering.replay(lines)
    if plan.time_budget_s is None:
        require(len(records) >= steering.trials, f"{len(records)} of {steering.trials} trials were made")
    wanted = max([plan.trials, *(line["what"]["number"] or 0 for line in lines if is_done(line, "trials"))])
    added = sum(is_done(line, "add") for line in lines)
    require(len(records) <= wanted + added, f"{len(records)} trials, and {wanted} were wanted")
    configs = Counter(str(record.config) for record in records.values())
    require(added > 0 or max(configs.values()) == 1, "a configuration was tried twice")


def _config(plan: Plan) -> Any:
    from distrecvae.search.core.config import SearchConfig

    return SearchConfig(trials=plan.trials, max_passes=plan.max_passes)


def _histories(plan: Plan, records: Mapping[int, TrialRecord]) -> None:
    """Each trial reported what it would have, undisturbed: each cycle once, in order, the same values."""
    for record in records.values():
        cycles = [report["cycle"] for report in record.reports]
        require(
            cycles == list(range(1, len(cycles) + 1)), f"trial {record.number} reported the cycles {cycles}"
        )
        best = -math.inf
        for cycle, report, best_so_far in zip(cycles, record.reports, record.best, strict=True):
            expected = report_of(plan, record.config, cycle)
            if report != expected:
                raise LostError(f"trial {record.number} reported {report}, and it is {expected}")
            best = max(best, expected[METRIC])
            if best_so_far != best:
                raise LostError(f"trial {record.number} has {best_so_far} for its best, and it is {best}")
        end = report_of(plan, record.config, len(cycles) + 1)[METRIC]
        if record.status is Status.DIVERGED:
            require(math.isnan(end) and record.score == 0.0, f"trial {record.number} diverged for no reason")


def widened_as_it_pulled(
    lines: Sequence[Line], space: SearchSpace, config: Any, concurrent: int, allows: Allows | None = None
) -> None:
    """No trial was asked for while a range pulled that nobody had changed: it was widened before, and for that.

    `allows` tells what the model takes, as the search was told; None: everything.
    """
    steering = Steering(space, config, concurrent=concurrent)
    for line, records in replayed(lines, METRIC, cast(Any, LEDGER_FILE)):
        own = line["kind"] == "steered" and "by" in line["facts"]
        if own or line["kind"] == "asked":
            earlier = [r for r in records.values() if own or r.number != line["trial"]]
            found = [
                each
                for each in pulls(earlier, steering.space, steering.begun, allows)
                if each.field not in steering.by_hand
            ]
            asked = line["what"]["ranges"] if own else {}
            require({each.field: each.ends for each in found} == asked, f"{found} pulled, and came {line}")
        steering.replay(
            [line]
        )  # its space and `by_hand`, which are all that is asked of it, follow line by line


def _what_is_kept(night: Night, driver: Driver, records: Mapping[int, TrialRecord]) -> None:
    """The best trial is the best, and a state is kept of no more trials than is promised."""
    scored = {
        n: max(r.best)
        for n, r in records.items()
        if r.best and r.status not in (Status.FAILED, Status.DIVERGED)
    }
    best = driver.ledger.best()
    if not scored:
        require(best is None, "a model was chosen, and none was scored")
        return
    first = min(scored, key=lambda number: (-scored[number], number))
    require(
        best is not None and best.number == first,
        f"{best and best.number} was chosen, and trial {first} is best",
    )
    kept = {int(name.removeprefix("state-")) for name in night.disk.files if name.startswith("state-")}
    allowed = {0, *(record.number for record in by_score(records.values())[:KEPT_TRIALS])}
    require(kept <= allowed, f"states of the trials {sorted(kept - allowed)} were kept")
    for number in kept:
        state = driver.states.latest(number)
        if state is not None:
            require(state["config"] == records[number].config, f"trial {number} has another one's state")
            reached = records[number].reports[-1]["cycle"] if records[number].reports else 0
            require(state["cycle"] <= reached + 1, f"the state of trial {number} is ahead of its reports")
