"""The median rule: Golovin et al., Google Vizier (KDD 2017), section 3.2."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from statistics import median

from distrecvae.search.core.rules.curves import Curve, Judgement, StoppingRule, require_budget


@dataclass(frozen=True)
class MedianRule(StoppingRule):
    """A trial ends when its running best is below the median of the others' at the same passes.

    The others are the trials that got at least that far; what counts is their running best at their last
    report not beyond the trial's passes. Nothing ends before `min_passes`, at `max_passes`, or while there
    are fewer than `min_trials` others.
    """

    min_passes: int
    max_passes: int
    min_trials: int = 4

    def __post_init__(self) -> None:
        require_budget(self.min_passes, self.max_passes)

    def rungs(self, number: int) -> tuple[int, ...]:  # noqa: ARG002  (every report is judged)
        """Return nothing: every report from `min_passes` on is judged."""
        return ()

    def judge(self, number: int, curves: Mapping[int, Curve]) -> Judgement | None:
        """Return what the last report of trial `number` is held to: the others at as many passes, and their median."""
        if not curves[number].points:
            return None
        passes, value = curves[number].points[-1]
        if not self.min_passes <= passes < self.max_passes:
            return None
        others = {
            curve.number: curve.points[bisect_right(curve.points, passes, key=itemgetter(0)) - 1][1]
            for curve in curves.values()
            if curve.number != number and curve.points and curve.points[0][0] <= passes <= curve.points[-1][0]
        }
        return (
            Judgement(passes, value, others, median(others.values()))
            if len(others) >= self.min_trials
            else None
        )
