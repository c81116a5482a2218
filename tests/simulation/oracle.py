"""The stopping rules once more, as plainly as they can be said: what the nights hold the package's own to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from distrecvae.search.core.rules import Hyperband
from tests.simulation.plan import MIN_PASSES, Plan

Points = Sequence[tuple[int, float]]
"""A trial's passes and running best, by report."""


def stops(plan: Plan, number: int, points: Mapping[int, Points]) -> bool:
    """Tell whether a trial's last report ends it; `points` has every trial that has not failed."""
    passes, value = points[number][-1]
    if passes >= plan.max_passes or plan.scheduler == "none":
        return False
    if plan.scheduler == "median":
        return _below_median(passes, value, [each for n, each in points.items() if n != number])
    if plan.scheduler not in ("asha", "hyperband"):  # another rule would else be held to ASHA's decisions
        raise NotImplementedError(f"the oracle does not know {plan.scheduler}")
    rungs: list[int] = []
    while (rung := MIN_PASSES * plan.reduction_factor ** len(rungs)) <= plan.max_passes:
        rungs.append(rung)
    before = max((p for p, _ in points[number][:-1]), default=0)
    if not any(before < rung <= passes for rung in rungs):
        return False
    rivals = points
    if plan.scheduler == "hyperband":
        # Which bracket a trial is in has tests of its own.
        bracket = Hyperband(MIN_PASSES, plan.max_passes, plan.reduction_factor).bracket
        rungs = rungs[bracket(number) :]
        rivals = {n: each for n, each in points.items() if bracket(n) == bracket(number)}
    crossed = [rung for rung in rungs if before < rung <= passes]
    if not crossed:
        return False
    there = [next((v for p, v in each if p >= crossed[-1]), None) for each in rivals.values()]
    values = [v for v in there if v is not None]
    rank = 1 + sum(v > value for v in values)
    return rank > max(1, len(values) // plan.reduction_factor)


def _below_median(passes: int, value: float, others: Sequence[Points]) -> bool:
    if passes < MIN_PASSES:
        return False
    reached = [[v for p, v in each if p <= passes][-1] for each in others if _spans(each, passes)]
    return len(reached) >= 4 and value < median(reached)


def _spans(points: Points, passes: int) -> bool:
    return bool(points) and points[0][0] <= passes <= points[-1][0]
