"""Makes a night that failed as simple as it can be and still fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.checks import check
from tests.simulation.plan import Plan


def failure(plan: Plan) -> str:
    """Return what goes wrong in a night, in a line; empty where nothing does."""
    try:
        check(plan)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def shrunk(plan: Plan, fails: Callable[[Plan], bool] = lambda plan: bool(failure(plan))) -> Plan:
    """Return a night that fails with fewer faults and requests, and simpler settings."""
    while True:
        simpler = next((each for each in _simpler(plan) if fails(each)), None)
        if simpler is None:
            return plan
        plan = simpler


def _simpler(plan: Plan) -> Iterator[Plan]:
    for n in range(len(plan.faults)):
        yield replace(plan, faults=plan.faults[:n] + plan.faults[n + 1 :])
    for n in range(len(plan.requests)):
        yield replace(plan, requests=plan.requests[:n] + plan.requests[n + 1 :])
    simplest = Plan(seed=plan.seed)
    for name in ("sampler", "scheduler", "time_budget_s", "diverges", "checkpoint_every", "trials"):
        if getattr(plan, name) != getattr(simplest, name):
            yield replace(plan, **{name: getattr(simplest, name)})
    if plan.workers > 1:
        yield replace(plan, workers=plan.workers - 1)
