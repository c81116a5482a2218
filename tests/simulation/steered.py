"""What must hold of what the operator of a simulated night asked, and of what the search asked of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from distrecvae.layout import LEDGER_FILE
from distrecvae.search.core.ledger import replayed
from distrecvae.search.core.records import Status
from distrecvae.search.core.requests import REOPENING
from tests.search.simulated import METRIC, PASSES_PER_CYCLE
from tests.simulation.night import Night
from tests.simulation.plan import Plan
from tests.simulation.world import require

Line = Mapping[str, Any]


def answered_once(night: Night, lines: Sequence[Line]) -> None:
    """Each request was taken up once, in order, and answered as the ledger has it."""
    taken = [line for line in lines if line["kind"] == "steered" and "by" not in line["facts"]]
    names = [line["request"] for line in taken]
    require(names == sorted(set(names)), f"requests were taken up as {names}")
    for line in taken:
        answer = night.answers.get(line["request"])
        require(answer == (line["done"], line["answer"]), f"request {line['request']} was answered {answer}")
    begun, added, dropped = 0, list[dict[str, Any]](), list[dict[str, Any]]()
    for line in lines:
        if line["kind"] == "asked":
            begun += 1
            require(
                all(len(each) < 3 or not each.items() <= line["config"].items() for each in dropped),
                f"trial {line['trial']} was added, and then the search was ended",
            )
            if added:
                wanted = added.pop(0)
                is_it = wanted.items() <= line["config"].items()
                require(is_it, f"{wanted} was added, and trial {line['trial']} is {line['config']}")
        elif is_done(line, "add"):
            added.append(line["what"]["settings"])
            dropped = [each for each in dropped if each != added[-1]]
        elif is_done(line, "end"):
            dropped += added
            added.clear()
        elif line["kind"] == "steered" and line["what"]["action"] == "trials":
            enough = line["what"]["number"] >= begun + len(added)
            require(
                line["done"] == enough,
                f"{line['what']['number']} trials, and {begun} were begun: {line['answer']}",
            )
    require(not added or night.plan.time_budget_s is not None, f"{added} were added, and never begun")
    waiting = {name for _, name, _ in night.mail}
    require(waiting.isdisjoint(names), "a request that was taken up waits")
    require(len(night.answers) == len(taken), "an answer was given that is not in the ledger")
    require(night.most_at_once <= night.plan.workers, f"{night.most_at_once} trials at once")


def stopped_as_told(lines: Sequence[Line]) -> None:
    """Whom somebody stops, or who runs as the search is ended, ends before anything else is written, and says so."""
    due: dict[int, str] = {}
    for line, records in replayed(lines, METRIC, cast(Any, LEDGER_FILE)):
        if line["kind"] == "ended":
            expected = due.pop(line["trial"], "")
            told = line["reason"].startswith(("by hand", "the search was ended"))
            require(
                line["reason"].startswith(expected) and told == bool(expected),
                f"trial {line['trial']} ended: {line['reason']}, and was told {expected!r}",
            )
        elif line["kind"] != "resumed":
            require(not due, f"{due} were told to end, and {line['kind']} came before")
        running = [n for n, record in records.items() if record.status is Status.RUNNING]
        if is_done(line, "stop"):
            due = {n: "by hand at " for n in line["what"]["trials"] if n in running}
        elif is_done(line, "end"):
            due = dict.fromkeys(running, "the search was ended by ")
    require(not due, f"{due} were told to end, and did not")


def done_where_it_can_be(plan: Plan, lines: Sequence[Line]) -> None:
    """A trial that runs is stopped; one that ended with a model continues, if its new budget has room for a cycle.

    The search itself lets only those continue that its rule stopped.
    """
    stood: dict[int, tuple[Status, str]] = {}
    for line, records in replayed(lines, METRIC, cast(Any, LEDGER_FILE)):
        if line["kind"] == "steered" and line["what"]["action"] in ("stop", *REOPENING):
            action, numbers, passes = (line["what"][name] for name in ("action", "trials", "number"))
            found = [stood.get(number) for number in numbers]
            status, reason = found[0] or (None, "")
            if action == "stop":
                can = None not in found and any(each[0] is Status.RUNNING for each in found if each)
            elif action == "continue":
                can = status in (Status.FINISHED, Status.STOPPED) and bool(records[numbers[0]].reports)
                can = can and passes >= records[numbers[0]].passes + PASSES_PER_CYCLE
            else:
                can = status is Status.STOPPED and reason.startswith(f"{plan.scheduler} at ")
                require(can, f"{found} was to be revived")
            require(line["done"] == can, f"{action} {numbers}, {found}, was answered: {line['answer']}")
        stood = {n: (record.status, record.reason) for n, record in records.items()}


def is_done(line: Line, action: str) -> bool:
    return bool(line["kind"] == "steered" and line["done"] and line["what"]["action"] == action)
